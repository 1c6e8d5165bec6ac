/* SPDX-License-Identifier: MIT */
/* `zooparallel ls` and `rejects`: the commands that show a list. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/macro.h"
#include "common/util/num.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/job_info.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/term.h"

static int print_table(const struct table *table)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;

	if (table_render(table, term_width(STDOUT_FILENO), &text) < 0) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	return output_text(&text);
}

static void add_count(struct table *table, double count)
{
	char text[NUM_TEXT_SIZE];

	table_add(table, num_format_count(text, count > 0 && count < 1e18 ? (uint64_t)count : 0));
}

static void add_job(struct table *table, const struct job_info *job, int64_t now_ns)
{
	char age[NUM_TEXT_SIZE];

	table_add(table, job->id);
	table_add(table, job->name);
	table_add_styled(table, job_state_name(job->state), style_of_state(job->state));
	table_add(table, job_state_is_final(job->state) ? job->reason : "");
	if (job->progress >= 0) {
		table_printf(table, "%.1f %%", 100 * MIN(job->progress, 1.0));
	} else {
		table_add(table, "");
	}
	add_count(table, (double)job->total_processed);
	add_count(table, (double)job->error_count);
	add_count(table, job->items_per_second);
	table_add(table, job->submitted_at_ns
				 ? num_format_duration_ns(age, now_ns - job->submitted_at_ns)
				 : "");
}

static int print_jobs(const struct ctl *ctl, const json_t *document)
{
	static const struct table_column columns[] = {
		{"ID", TABLE_LEFT},	   {"NAME", TABLE_ELASTIC},   {"STATE", TABLE_LEFT},
		{"REASON", TABLE_ELASTIC}, {"PROGRESS", TABLE_RIGHT}, {"ROWS", TABLE_RIGHT},
		{"REJECTED", TABLE_RIGHT}, {"ROWS/S", TABLE_RIGHT},   {"AGE", TABLE_RIGHT},
	};
	CLEANUP(table_deinit) struct table table;
	int64_t now_ns = clock_realtime_ns();
	const json_t *element;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	table.has_color = term_has_color(STDOUT_FILENO, ctl->color);
	json_array_foreach(json_object_get(document, "jobs"), i, element)
	{
		struct job_info job;

		if (job_info_read(element, &job) == 0) {
			add_job(&table, &job, now_ns);
		}
	}
	return print_table(&table);
}

/* Adds "?key=value" or "&key=value". */
static int add_query(struct buf *target, const char *key, const char *value)
{
	CLEANUP(free_p) char *escaped = api_escape(value);

	if (!escaped) {
		return -ENOMEM;
	}
	buf_printf(target, "%c%s=%s", strchr(target->data, '?') ? '&' : '?', key, escaped);
	return buf_terminated(target) ? 0 : -ENOMEM;
}

/* Options that go into the query as they are: the daemon judges their values. */
static int parse_query(struct ctl *ctl, int argc, char **argv, const struct option *options,
		       struct buf *target)
{
	int index, option;

	while ((option = ctl_option_next(ctl, argc, argv, options)) != CTL_OPTION_END) {
		if (option >= CTL_OPTION_HELP) {
			return option;
		}
		for (index = 0; options[index].val != option; index++) {
		}
		if (add_query(target, options[index].name, optarg) < 0) {
			term_error("no memory");
			return CTL_OPTION_BAD;
		}
	}
	return CTL_OPTION_END;
}

int cmd_ls(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {
		{"state", required_argument, NULL, 's'},
		{"name", required_argument, NULL, 'n'},
		{"limit", required_argument, NULL, 'l'},
		{"after", required_argument, NULL, 'a'},
		{0},
	};
	CLEANUP(api_closep) struct api *api = NULL;
	CLEANUP(client_json_decrefp) json_t *document = NULL;
	CLEANUP(buf_deinit) struct buf target = BUF_INIT;
	int option, code;

	buf_add_str(&target, "/api/v1/jobs");
	option = buf_terminated(&target) ? parse_query(ctl, argc, argv, options, &target)
					 : CTL_OPTION_BAD;
	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (optind != argc) {
		return ctl_usage_error(ctl, "no operands, please; one job is for `show`");
	}
	code = client_open(ctl, &api);
	code = code ? code : client_get(ctl, api, target.data, CLIENT_TIMEOUT_NS, &document);
	if (code) {
		return code;
	}
	if (!ctl->json && !strstr(target.data, "limit=") &&
	    json_is_string(json_object_get(document, "next"))) {
		term_error("ls: these are not all; the rest is --after %s",
			   job_info_text(document, "next"));
	}
	return ctl->json ? output_json(document) : print_jobs(ctl, document);
}

static int print_rejects(const json_t *document)
{
	static const struct table_column columns[] = {
		{"INPUT", TABLE_ELASTIC}, {"LINE", TABLE_RIGHT},    {"OFFSET", TABLE_RIGHT},
		{"CODE", TABLE_LEFT},	  {"FIELD", TABLE_ELASTIC}, {"MESSAGE", TABLE_LEFT},
	};
	CLEANUP(table_deinit) struct table table;
	const json_t *row;
	size_t i;

	table_init(&table, columns, ARRAY_SIZE(columns));
	json_array_foreach(json_object_get(document, "errors"), i, row)
	{
		table_add(&table, job_info_text(row, "input"));
		table_printf(&table, "%" PRId64, job_info_integer(row, "line"));
		table_printf(&table, "%" PRId64, job_info_integer(row, "offset"));
		table_add(&table, job_info_text(row, "code"));
		table_add(&table, job_info_text(row, "field"));
		table_add(&table, job_info_text(row, "message"));
	}
	return print_table(&table);
}

enum { REJECTS_LIMIT = 100, REJECTS_MAX = 1000 };

struct rejects_options {
	uint64_t limit, n_skipped;
	bool is_limited;
};

static int parse_rejects_options(struct ctl *ctl, int argc, char **argv,
				 struct rejects_options *options)
{
	static const struct option table[] = {
		{"limit", required_argument, NULL, 'l'},
		{"skip", required_argument, NULL, 's'},
		{0},
	};
	int option;

	while ((option = ctl_option_next(ctl, argc, argv, table)) != CTL_OPTION_END) {
		if (option >= CTL_OPTION_HELP) {
			return option;
		}
		if (num_parse_u64(optarg, option == 'l' ? &options->limit : &options->n_skipped) <
			    0 ||
		    options->limit == 0 || options->limit > REJECTS_MAX ||
		    options->n_skipped >= REJECTS_MAX) {
			ctl_usage_error(ctl, "--limit wants a number from 1 to 1000, --skip one "
					     "below 1000");
			return CTL_OPTION_BAD;
		}
		options->is_limited = options->is_limited || option == 'l';
	}
	return CTL_OPTION_END;
}

/* The daemon keeps a thousand at most and has no pages of them: they are cut here. */
static void skip_rejects(json_t *document, uint64_t n_skipped)
{
	json_t *rows = json_object_get(document, "errors");

	while (n_skipped-- > 0 && json_array_size(rows) > 0) {
		(void)json_array_remove(rows, 0);
	}
}

int cmd_rejects(struct ctl *ctl, int argc, char **argv)
{
	struct rejects_options options = {.limit = REJECTS_LIMIT};
	CLEANUP(api_closep) struct api *api = NULL;
	CLEANUP(client_json_decrefp) json_t *document = NULL;
	int option = parse_rejects_options(ctl, argc, argv, &options);
	uint64_t n_asked = MIN(options.limit + options.n_skipped, (uint64_t)REJECTS_MAX);
	char suffix[64];
	int code;

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (argc - optind != 1) {
		return ctl_usage_error(ctl, "which job?");
	}
	(void)snprintf(suffix, sizeof(suffix), "/errors?limit=%" PRIu64, n_asked);
	code = client_open(ctl, &api);
	code = code ? code
		    : client_get_job(ctl, api, argv[optind], suffix, CLIENT_TIMEOUT_NS, &document);
	if (code) {
		return code;
	}
	skip_rejects(document, options.n_skipped);
	if (!ctl->json && !options.is_limited && json_is_true(json_object_get(document, "more"))) {
		term_error("rejects: these are not all; see --limit and --skip");
	}
	return ctl->json ? output_json(document) : print_rejects(document);
}
