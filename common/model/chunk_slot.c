/* SPDX-License-Identifier: MIT */

/*
 * The slots of the chunk table: what a worker says of itself and not of a chunk, its signs of life
 * and its last words. A slot has one writer, so nothing here is won or lost by a race; the
 * supervisor reads, and believes neither the numbers nor the text.
 */
#include "common/model/chunk_table.h"

#include <assert.h>
#include <string.h>

bool chunk_table_report(const struct chunk_table *table, uint32_t slot, uint32_t *ret_reason,
			char message[CHUNK_TABLE_MESSAGE_MAX])
{
	assert(slot < table->n_slots);
	const struct chunk_slot *report = &table->slots[slot];

	if (atomic_load_explicit(&report->is_reported, memory_order_acquire) != 1) {
		return false;
	}
	*ret_reason = report->reason;
	memcpy(message, report->message, CHUNK_TABLE_MESSAGE_MAX);
	message[CHUNK_TABLE_MESSAGE_MAX - 1] = '\0';
	for (char *at = message; *at != '\0'; at++) {
		if ((unsigned char)*at < 0x20 || *at == 0x7f) {
			*at = '?';
		}
	}
	return true;
}

struct chunk_pulse chunk_table_pulse(const struct chunk_table *table, uint32_t slot)
{
	assert(slot < table->n_slots);
	return (struct chunk_pulse){
		.n_beats = atomic_load_explicit(&table->slots[slot].n_beats, memory_order_relaxed),
		.n_steps = atomic_load_explicit(&table->slots[slot].n_steps, memory_order_relaxed),
	};
}

void chunk_table_clear_report(struct chunk_table *table, uint32_t slot)
{
	assert(slot < table->n_slots);
	atomic_store(&table->slots[slot].is_reported, 0);
}

/* It has one writer, so two plain accesses do; an atomic addition would cost the hot path more. */
static void count_up(_Atomic uint64_t *count)
{
	atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

void chunk_table_beat(struct chunk_table *table, uint32_t slot, bool is_step)
{
	assert(slot < table->n_slots);
	count_up(&table->slots[slot].n_beats);
	if (is_step) {
		count_up(&table->slots[slot].n_steps);
	}
}

void chunk_table_fail(struct chunk_table *table, uint32_t slot, uint32_t reason,
		      const char *message)
{
	assert(slot < table->n_slots);
	struct chunk_slot *report = &table->slots[slot];
	size_t len = strnlen(message, CHUNK_TABLE_MESSAGE_MAX - 1);

	report->reason = reason;
	memcpy(report->message, message, len);
	report->message[len] = '\0';
	atomic_store_explicit(&report->is_reported, 1, memory_order_release);
}
