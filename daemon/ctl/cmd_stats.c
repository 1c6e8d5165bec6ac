/* SPDX-License-Identifier: MIT */
/* `zooparallel stats`: zooparallel-stats(5) for one file, from the table of counters. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/model/stats_file.h"
#include "common/util/clock.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/term.h"

static json_t *stats_document(const struct stats_snapshot *stats)
{
	char started[CLOCK_TEXT_SIZE];
	json_t *document = json_pack(
		"{s:I, s:I, s:I, s:I, s:s}", "slot", (json_int_t)stats->identity.slot, "generation",
		(json_int_t)stats->identity.generation, "pid", (json_int_t)stats->identity.pid,
		"start_ticks", (json_int_t)stats->identity.start_ticks, "started_at",
		clock_format_utc(started, stats->identity.started_at_ns));

	for (size_t i = 0; document && i < COUNTER_N; i++) {
		if (json_object_set_new(document, counter_table[i].name,
					json_integer(stats->values[i])) < 0) {
			json_decref(document);
			return NULL;
		}
	}
	if (document &&
	    json_object_set_new(document, "phase_name",
				json_string(stats_phase_name(stats->values[COUNTER_PHASE]))) < 0) {
		json_decref(document);
		return NULL;
	}
	return document;
}

/* What a bare number does not tell; "" if it tells all. */
static const char *spoken(char text[static NUM_TEXT_SIZE], enum counter counter, int64_t value)
{
	const char *unit = counter_table[counter].unit;

	if (counter == COUNTER_PHASE) {
		return stats_phase_name(value);
	}
	if (counter == COUNTER_HEARTBEAT) {
		int64_t age_ns = clock_monotonic_ns() - value;

		/* Of another boot, it lies in the future or says nothing. */
		return value > 0 && age_ns >= 0 ? num_format_duration_ns(text, age_ns) : "";
	}
	if (str_equal(unit, "bytes") && value >= 0) {
		return num_format_size(text, (uint64_t)value);
	}
	return "";
}

static void add_identity(struct table *table, const struct stats_identity *identity)
{
	char started[CLOCK_TEXT_SIZE];
	const struct {
		const char *name;
		uint64_t value;
		const char *unit, *text;
	} rows[] = {
		{"slot", identity->slot, "", ""},
		{"generation", identity->generation, "restarts", ""},
		{"pid", (uint64_t)identity->pid, "", ""},
		{"start_ticks", identity->start_ticks, "ticks", ""},
		{"started_at", (uint64_t)identity->started_at_ns, "nanoseconds",
		 clock_format_utc(started, identity->started_at_ns)},
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		table_add(table, rows[i].name);
		table_printf(table, "%" PRIu64, rows[i].value);
		table_add(table, rows[i].unit);
		table_add(table, rows[i].text);
	}
}

static int print_table(const struct stats_snapshot *stats)
{
	static const struct table_column columns[] = {
		{"FIELD", TABLE_LEFT},
		{"VALUE", TABLE_RIGHT},
		{"UNIT", TABLE_LEFT},
		{"", TABLE_LEFT},
	};
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	CLEANUP(table_deinit) struct table table;
	int r;

	table_init(&table, columns, ARRAY_SIZE(columns));
	add_identity(&table, &stats->identity);
	for (size_t i = 0; i < COUNTER_N; i++) {
		char spoken_text[NUM_TEXT_SIZE];

		table_add(&table, counter_table[i].name);
		table_printf(&table, "%" PRId64, stats->values[i]);
		table_add(&table, counter_table[i].unit);
		table_add(&table, spoken(spoken_text, (enum counter)i, stats->values[i]));
	}
	r = table_render(&table, term_width(STDOUT_FILENO), &text);
	if (r < 0) {
		term_error("%s", strerror(-r));
		return CTL_EXIT_FAILED;
	}
	return output_text(&text);
}

int cmd_stats(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {{0}};
	CLEANUP(stats_file_close) struct stats_reader reader = {0};
	struct stats_snapshot stats;
	int option = ctl_option_next(ctl, argc, argv, options);
	int fault;

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (argc - optind != 1) {
		return ctl_usage_error(ctl, "one file, please");
	}
	fault = stats_file_open(AT_FDCWD, argv[optind], &reader);
	if (fault == 0) {
		fault = (int)stats_file_read(&reader, &stats);
	}
	if (fault != 0) {
		term_error("%s: %s", argv[optind],
			   fault < 0 ? strerror(-fault)
				     : stats_fault_message((enum stats_fault)fault));
		return CTL_EXIT_FAILED;
	}
	if (ctl->json) {
		CLEANUP(client_json_decrefp) json_t *document = stats_document(&stats);

		return output_json(document);
	}
	return print_table(&stats);
}
