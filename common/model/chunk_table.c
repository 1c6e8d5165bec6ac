/* SPDX-License-Identifier: MIT */

/*
 * A claim word holds everything that decides who may do what with a record, so each step is one
 * atomic operation on it:
 *
 *     bits 0-7 state | bits 8-31 slot of the holder | bits 32-63 lap of the ring
 *
 * The lap makes a record say which chunk it stands for: a worker that looked at chunk k, slept
 * and woke when the record had been recycled for chunk k + ring_size fails its compare-and-swap.
 *
 * `hint` is where the search for a free chunk starts. Whoever frees a chunk stores FREE, then
 * lowers the hint; whoever moves the hint over a chunk looks at the chunk once more afterwards.
 * All four are sequentially consistent, so one of the two sees the other (Dekker's argument) and
 * no free chunk stays below the hint, unless a worker is killed between its two steps: the
 * supervisor lowers the hint after each death.
 *
 * Sleepers wait on the low half of a claim word, or of a scan word, with futex(2). A waker looks
 * at n_waiters first: where nobody sleeps, accepting a chunk costs no system call.
 */

#include "common/model/chunk_table.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "common/util/checksum.h"
#include "common/util/futex.h"

#define CLAIM_STATE_MASK 0xffu
#define CLAIM_SLOT_SHIFT 8
#define CLAIM_SLOT_MASK	 0xffffffu
#define CLAIM_LAP_SHIFT	 32

#define SCAN_READY	    1u
#define SCAN_PARITY	    2u
#define SCAN_NEWLINES_SHIFT 2

static uint64_t claim_make(enum chunk_state state, uint32_t slot, uint64_t lap)
{
	return (uint64_t)state | (uint64_t)(slot & CLAIM_SLOT_MASK) << CLAIM_SLOT_SHIFT |
	       lap << CLAIM_LAP_SHIFT;
}

static uint64_t claim_with_state(uint64_t claim, enum chunk_state state)
{
	return (claim & ~(uint64_t)CLAIM_STATE_MASK) | (uint64_t)state;
}

enum chunk_state chunk_claim_state(uint64_t claim)
{
	return (enum chunk_state)(claim & CLAIM_STATE_MASK);
}

uint32_t chunk_claim_slot(uint64_t claim)
{
	return (uint32_t)(claim >> CLAIM_SLOT_SHIFT) & CLAIM_SLOT_MASK;
}

static uint64_t lap_of(const struct chunk_table *table, uint64_t k)
{
	return k / table->ring_size;
}

struct chunk_record *chunk_table_record(const struct chunk_table *table, uint32_t lane, uint64_t k)
{
	assert(lane < table->n_lanes);
	return &table->records[(size_t)lane * table->ring_size + k % table->ring_size];
}

/* The low half of a 64-bit word, which is what futex(2) can sleep on (little endian). */
static const _Atomic uint32_t *low_half(const _Atomic uint64_t *word)
{
	return (const _Atomic uint32_t *)word;
}

static void wake_claim(struct chunk_record *record)
{
	if (atomic_load(&record->n_waiters) > 0) {
		futex_wake(low_half(&record->claim), INT_MAX);
	}
}

static void lower_hint(struct chunk_lane *lane, uint64_t k)
{
	uint64_t hint = atomic_load(&lane->hint);

	while (hint > k && !atomic_compare_exchange_weak(&lane->hint, &hint, k)) {
	}
}

/* One past the last chunk that may be claimed now. */
static uint64_t window_end(const struct chunk_table *table, const struct chunk_lane *lane)
{
	uint64_t folded = atomic_load_explicit(&lane->folded, memory_order_acquire);
	uint64_t n_chunks = atomic_load_explicit(&lane->n_chunks, memory_order_acquire);
	uint64_t end = folded + table->ring_size - 1;

	return MIN(end, n_chunks);
}

/* --- shape ------------------------------------------------------------------------------------ */

size_t chunk_table_size(uint32_t n_lanes, uint32_t n_slots, uint32_t ring_size)
{
	return sizeof(struct chunk_table_header) + n_lanes * sizeof(struct chunk_lane) +
	       n_slots * sizeof(struct chunk_slot) +
	       (size_t)n_lanes * ring_size * sizeof(struct chunk_record);
}

static bool shape_is_sane(uint32_t n_lanes, uint32_t n_slots, uint32_t ring_size)
{
	return n_lanes >= 1 && n_lanes <= CHUNK_TABLE_MAX_LANES && n_slots >= 1 &&
	       n_slots <= CHUNK_TABLE_MAX_SLOTS && ring_size >= 2 &&
	       ring_size <= CHUNK_TABLE_RING_SIZE;
}

static void table_place(struct chunk_table *table, void *base, uint32_t n_lanes, uint32_t n_slots,
			uint32_t ring_size)
{
	char *at = base;

	table->base = base;
	table->size_bytes = chunk_table_size(n_lanes, n_slots, ring_size);
	table->n_lanes = n_lanes;
	table->n_slots = n_slots;
	table->ring_size = ring_size;
	table->header = base;
	at += sizeof(struct chunk_table_header);
	table->lanes = (struct chunk_lane *)(void *)at;
	at += n_lanes * sizeof(struct chunk_lane);
	table->slots = (struct chunk_slot *)(void *)at;
	at += n_slots * sizeof(struct chunk_slot);
	table->records = (struct chunk_record *)(void *)at;
}

static bool header_fits(const struct chunk_table_header *header, size_t size_bytes)
{
	return memcmp(header->magic, CHUNK_TABLE_MAGIC, sizeof(header->magic)) == 0 &&
	       header->version == CHUNK_TABLE_VERSION && header->header_size == sizeof(*header) &&
	       header->record_size == sizeof(struct chunk_record) &&
	       shape_is_sane(header->n_lanes, header->n_slots, header->ring_size) &&
	       size_bytes == chunk_table_size(header->n_lanes, header->n_slots, header->ring_size);
}

int chunk_table_map(int fd, struct chunk_table *ret_table)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size < sizeof(struct chunk_table_header)) {
		return -EINVAL;
	}
	void *base = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		return -errno;
	}
	const struct chunk_table_header *header = base;
	if (!header_fits(header, (size_t)st.st_size)) {
		munmap(base, (size_t)st.st_size);
		return -EINVAL;
	}
	table_place(ret_table, base, header->n_lanes, header->n_slots, header->ring_size);
	return 0;
}

void chunk_table_unmap(struct chunk_table *table)
{
	if (table->base != NULL) {
		munmap(table->base, table->size_bytes);
	}
	*table = (struct chunk_table){0};
}

/* --- supervisor ------------------------------------------------------------------------------- */

static uint32_t ring_size_for(const uint64_t *n_chunks, uint32_t n_lanes)
{
	uint64_t most = 1;

	for (uint32_t lane = 0; lane < n_lanes; lane++) {
		most = MAX(most, n_chunks[lane]);
	}
	return most >= CHUNK_TABLE_RING_SIZE ? CHUNK_TABLE_RING_SIZE : (uint32_t)most + 1;
}

static void table_fill(struct chunk_table *table, const uint64_t *n_chunks)
{
	struct chunk_table_header *header = table->header;

	for (uint32_t lane = 0; lane < table->n_lanes; lane++) {
		atomic_store(&table->lanes[lane].n_chunks, n_chunks[lane]);
	}
	header->version = CHUNK_TABLE_VERSION;
	header->header_size = sizeof(*header);
	header->record_size = sizeof(struct chunk_record);
	header->n_lanes = table->n_lanes;
	header->n_slots = table->n_slots;
	header->ring_size = table->ring_size;
	/* The magic comes last: a table that carries it is whole. */
	atomic_thread_fence(memory_order_release);
	memcpy(header->magic, CHUNK_TABLE_MAGIC, sizeof(header->magic));
}

int chunk_table_create(int fd, uint32_t n_lanes, uint32_t n_slots, const uint64_t *n_chunks,
		       struct chunk_table *ret_table)
{
	uint32_t ring_size = ring_size_for(n_chunks, n_lanes);

	if (!shape_is_sane(n_lanes, n_slots, ring_size)) {
		return -EINVAL;
	}
	size_t size_bytes = chunk_table_size(n_lanes, n_slots, ring_size);
	int error = posix_fallocate(fd, 0, (off_t)size_bytes);
	if (error != 0) {
		return -error;
	}
	void *base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED) {
		return -errno;
	}
	table_place(ret_table, base, n_lanes, n_slots, ring_size);
	table_fill(ret_table, n_chunks);
	return 0;
}

static uint64_t accept_checksum(const struct chunk_accept *accept)
{
	return checksum_add(CHECKSUM_INIT, accept, offsetof(struct chunk_accept, checksum));
}

void chunk_table_seed(struct chunk_table *table, uint32_t lane, uint64_t folded,
		      const struct chunk_accept *before)
{
	for (uint64_t k = folded; k < folded + table->ring_size - 1; k++) {
		atomic_store(&chunk_table_record(table, lane, k)->claim,
			     claim_make(CHUNK_FREE, 0, lap_of(table, k)));
	}
	if (folded > 0) {
		struct chunk_record *record = chunk_table_record(table, lane, folded - 1);

		record->accept = *before;
		atomic_store(&record->claim,
			     claim_make(CHUNK_WRITTEN, 0, lap_of(table, folded - 1)));
	}
	atomic_store(&table->lanes[lane].hint, folded);
	atomic_store(&table->lanes[lane].folded, folded);
}

/* Whether chunk k of a lane was accepted and written, and the record is whole. */
static bool import_record(struct chunk_record *record, const struct chunk_record *old, uint64_t lap)
{
	uint64_t claim = atomic_load(&old->claim);
	struct chunk_accept accept = old->accept;

	if (claim >> CLAIM_LAP_SHIFT != lap) {
		return false;
	}
	atomic_store(&record->scan, atomic_load(&old->scan));
	struct chunk_deaths deaths = chunk_deaths_get(old);
	deaths.was_accepted |= chunk_claim_state(claim) == CHUNK_ACCEPTED;
	chunk_deaths_set(record, &deaths);
	if (chunk_claim_state(claim) != CHUNK_WRITTEN ||
	    accept.checksum != accept_checksum(&accept)) {
		return false;
	}
	record->accept = accept;
	atomic_store(&record->claim, claim);
	return true;
}

uint64_t chunk_table_import(struct chunk_table *table, uint32_t lane, const struct chunk_table *old)
{
	uint64_t folded = atomic_load(&table->lanes[lane].folded);
	uint64_t end = MIN(folded + table->ring_size - 1,
			   atomic_load(&table->lanes[lane].n_chunks));
	uint64_t n_imported = 0;

	if (old->n_lanes != table->n_lanes || old->ring_size != table->ring_size) {
		return 0;
	}
	for (uint64_t k = folded; k < end; k++) {
		n_imported += import_record(chunk_table_record(table, lane, k),
					    chunk_table_record(old, lane, k), lap_of(table, k));
	}
	return n_imported;
}

int chunk_table_peek(const struct chunk_table *table, uint32_t lane, uint64_t folded,
		     struct chunk_accept *ret_accept, uint32_t *ret_slot)
{
	const struct chunk_record *record = chunk_table_record(table, lane, folded);
	uint64_t claim = atomic_load_explicit(&record->claim, memory_order_acquire);

	if (claim != claim_make(CHUNK_WRITTEN, chunk_claim_slot(claim), lap_of(table, folded))) {
		return 0;
	}
	*ret_accept = record->accept;
	*ret_slot = chunk_claim_slot(claim);
	return 1;
}

void chunk_table_fold(struct chunk_table *table, uint32_t lane, uint64_t folded)
{
	if (folded > 0) {
		uint64_t old = folded - 1;
		struct chunk_record *record = chunk_table_record(table, lane, old);

		atomic_store(&record->scan, 0);
		atomic_store(&record->is_waiting, 0);
		atomic_store(&record->row_after, 0);
		record->deaths = (struct chunk_deaths){0};
		atomic_store(&record->claim, claim_make(CHUNK_FREE, 0, lap_of(table, old) + 1));
	}
	atomic_store_explicit(&table->lanes[lane].folded, folded + 1, memory_order_release);
}

static bool is_free(const struct chunk_table *table, uint32_t lane, uint64_t k)
{
	const struct chunk_record *record = chunk_table_record(table, lane, k);

	return atomic_load(&record->claim) == claim_make(CHUNK_FREE, 0, lap_of(table, k));
}

/* Frees chunk k if `slot` holds it unwritten. Returns whether it did. */
static bool free_if_held(struct chunk_table *table, uint32_t lane, uint64_t k, uint32_t slot)
{
	struct chunk_record *record = chunk_table_record(table, lane, k);
	uint64_t claim = atomic_load(&record->claim);
	enum chunk_state state = chunk_claim_state(claim);

	if (chunk_claim_slot(claim) != slot ||
	    (state != CHUNK_CLAIMED && state != CHUNK_ACCEPTED)) {
		return false;
	}
	record->deaths.was_accepted |= state == CHUNK_ACCEPTED;
	atomic_store(&record->row_after, 0);
	atomic_store(&record->claim, claim_make(CHUNK_FREE, 0, lap_of(table, k)));
	return true;
}

/*
 * Of all that is free, not just what is freed here: the dead worker may have been killed between
 * freeing a chunk and lowering the hint, or between raising it and looking again.
 */
static unsigned free_in_lane(struct chunk_table *table, uint32_t lane, uint32_t slot,
			     uint64_t folded)
{
	unsigned n_freed = 0;

	for (uint64_t k = folded; k < folded + table->ring_size - 1; k++) {
		n_freed += free_if_held(table, lane, k, slot);
		if (is_free(table, lane, k)) {
			lower_hint(&table->lanes[lane], k);
		}
	}
	return n_freed;
}

static void wake_lane(struct chunk_table *table, uint32_t lane)
{
	for (uint32_t i = 0; i < table->ring_size; i++) {
		struct chunk_record *record = chunk_table_record(table, lane, i);

		wake_claim(record);
		if (atomic_load(&record->n_waiters) > 0) {
			futex_wake(low_half(&record->scan), INT_MAX);
		}
	}
}

unsigned chunk_table_free_slot(struct chunk_table *table, uint32_t slot, const uint64_t *folded)
{
	unsigned n_freed = 0;

	for (uint32_t lane = 0; lane < table->n_lanes; lane++) {
		unsigned n_of_lane = free_in_lane(table, lane, slot, folded[lane]);

		if (n_of_lane > 0) {
			wake_lane(table, lane);
		}
		n_freed += n_of_lane;
	}
	return n_freed;
}

void chunk_table_stop(struct chunk_table *table)
{
	atomic_store(&table->header->stop, 1);
	for (uint32_t lane = 0; lane < table->n_lanes; lane++) {
		wake_lane(table, lane);
	}
}

void chunk_table_end_lane(struct chunk_table *table, uint32_t lane, uint64_t n_chunks)
{
	atomic_store(&table->lanes[lane].n_chunks, n_chunks);
	wake_lane(table, lane);
}

/* --- worker ----------------------------------------------------------------------------------- */

/* Moves the hint from k to k + 1, unless chunk k was freed meanwhile. */
static void raise_hint(const struct chunk_table *table, struct chunk_lane *lane,
		       const struct chunk_record *record, uint64_t k)
{
	uint64_t expected = k;

	if (!atomic_compare_exchange_strong(&lane->hint, &expected, k + 1)) {
		return;
	}
	if (atomic_load(&record->claim) == claim_make(CHUNK_FREE, 0, lap_of(table, k))) {
		lower_hint(lane, k);
	}
}

int chunk_table_claim(struct chunk_table *table, uint32_t lane_index, uint32_t slot,
		      uint64_t *ret_chunk)
{
	struct chunk_lane *lane = &table->lanes[lane_index];

	for (uint64_t k = atomic_load(&lane->hint); k < window_end(table, lane); k++) {
		struct chunk_record *record = chunk_table_record(table, lane_index, k);
		uint64_t lap = lap_of(table, k);
		uint64_t expected = claim_make(CHUNK_FREE, 0, lap);

		if (atomic_compare_exchange_strong(&record->claim, &expected,
						   claim_make(CHUNK_CLAIMED, slot, lap))) {
			raise_hint(table, lane, record, k);
			*ret_chunk = k;
			return 1;
		}
		raise_hint(table, lane, record, k);
	}
	return 0;
}

bool chunk_table_lane_is_drained(const struct chunk_table *table, uint32_t lane)
{
	return atomic_load(&table->lanes[lane].hint) >= atomic_load(&table->lanes[lane].n_chunks);
}

bool chunk_table_has_free_before(const struct chunk_table *table, uint32_t lane, uint64_t chunk)
{
	uint64_t k = atomic_load(&table->lanes[lane].hint);

	return k < chunk && is_free(table, lane, k);
}

void chunk_table_give_back(struct chunk_table *table, uint32_t lane, uint64_t chunk)
{
	struct chunk_record *record = chunk_table_record(table, lane, chunk);

	chunk_deaths_touch(record, CHUNK_NO_ROW);
	atomic_store(&record->claim, claim_make(CHUNK_FREE, 0, lap_of(table, chunk)));
	lower_hint(&table->lanes[lane], chunk);
	wake_claim(record);
}

void chunk_table_publish_scan(struct chunk_record *record, bool quote_parity, uint64_t n_newlines)
{
	atomic_store(&record->scan, SCAN_READY | (quote_parity ? SCAN_PARITY : 0) |
					    n_newlines << SCAN_NEWLINES_SHIFT);
	if (atomic_load(&record->n_waiters) > 0) {
		futex_wake(low_half(&record->scan), INT_MAX);
	}
}

static uint64_t claim_lap(uint64_t claim)
{
	return claim >> CLAIM_LAP_SHIFT;
}

int chunk_table_scan(const struct chunk_table *table, uint32_t lane, uint64_t k, bool *ret_parity,
		     uint64_t *ret_newlines)
{
	const struct chunk_record *record = chunk_table_record(table, lane, k);
	uint64_t scan = atomic_load(&record->scan);

	/* In this order: a scan of the next lap is published only after the lap has changed. */
	if (claim_lap(atomic_load(&record->claim)) != lap_of(table, k)) {
		return -ESTALE;
	}
	if ((scan & SCAN_READY) == 0) {
		return 0;
	}
	*ret_parity = (scan & SCAN_PARITY) != 0;
	*ret_newlines = scan >> SCAN_NEWLINES_SHIFT;
	return 1;
}

bool chunk_table_accepted(const struct chunk_table *table, uint32_t lane, uint64_t k,
			  struct chunk_accept *ret_accept)
{
	const struct chunk_record *record = chunk_table_record(table, lane, k);
	uint64_t claim = atomic_load_explicit(&record->claim, memory_order_acquire);

	if (claim_lap(claim) != lap_of(table, k) || chunk_claim_state(claim) < CHUNK_ACCEPTED) {
		return false;
	}
	*ret_accept = record->accept;
	atomic_thread_fence(memory_order_acquire);
	return claim_lap(atomic_load(&record->claim)) == lap_of(table, k);
}

static void set_state(struct chunk_record *record, enum chunk_state state)
{
	uint64_t claim = atomic_load_explicit(&record->claim, memory_order_relaxed);

	atomic_store(&record->claim, claim_with_state(claim, state));
	wake_claim(record);
}

void chunk_table_accept(struct chunk_record *record, const struct chunk_accept *accept)
{
	record->accept = *accept;
	record->accept.checksum = accept_checksum(accept);
	set_state(record, CHUNK_ACCEPTED);
}

void chunk_table_written(struct chunk_record *record)
{
	set_state(record, CHUNK_WRITTEN);
}

void chunk_table_sleep(struct chunk_record *record, enum chunk_event event, int64_t timeout_ns)
{
	const _Atomic uint64_t *word = event == CHUNK_EVENT_SCAN ? &record->scan : &record->claim;

	atomic_fetch_add(&record->n_waiters, 1);
	uint64_t seen = atomic_load(word);
	bool is_there = event == CHUNK_EVENT_SCAN ? (seen & SCAN_READY) != 0
						  : chunk_claim_state(seen) >= CHUNK_ACCEPTED;
	if (!is_there) {
		futex_wait(low_half(word), (uint32_t)seen, timeout_ns);
	}
	atomic_fetch_sub(&record->n_waiters, 1);
}

void chunk_table_set_waiting(struct chunk_record *record, bool is_waiting)
{
	atomic_store_explicit(&record->is_waiting, is_waiting, memory_order_relaxed);
}

bool chunk_table_is_stopped(const struct chunk_table *table)
{
	return atomic_load_explicit(&table->header->stop, memory_order_relaxed) != 0;
}
