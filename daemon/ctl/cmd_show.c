/* SPDX-License-Identifier: MIT */
/*
 * `zooparallel show`: all that the API tells of one job. What this program does not know yet is
 * shown all the same: the job's members are listed as they come, only lists get a form of their
 * own.
 */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "common/util/macro.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/job_info.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/summary.h"
#include "daemon/ctl/table.h"
#include "daemon/ctl/term.h"
#include "daemon/ctl/text.h"

enum { LABEL_COLUMNS = 20 };

/* {"ragged": 2, "nul_byte": 1} -> "ragged 2, nul_byte 1" */
static void add_counts(struct buf *out, const json_t *counts)
{
	const json_t *value;
	const char *key, *separator = "";

	json_object_foreach((json_t *)(uintptr_t)counts, key, value)
	{
		buf_add_str(out, separator);
		text_add_clean(out, key);
		buf_printf(out, " %lld", (long long)json_integer_value(value));
		separator = ", ";
	}
	buf_add_str(out, *separator ? "" : "-");
}

/* A value as people read it: strings without quotes, the rest as JSON has it. */
static void add_scalar(struct buf *out, const json_t *value)
{
	CLEANUP(free_p) char *dumped = NULL;

	if (json_is_string(value)) {
		text_add_clean(out, json_string_value(value));
	} else if (json_is_null(value)) {
		buf_add_char(out, '-');
	} else if (json_is_object(value)) {
		add_counts(out, value);
	} else {
		dumped = json_dumps(value,
				    JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(15));
		text_add_clean(out, dumped);
	}
}

static void add_member(struct buf *out, const char *key, const json_t *value)
{
	CLEANUP(buf_deinit) struct buf label = BUF_INIT;

	text_add_clean(&label, key);
	buf_printf(out, "%-*s ", LABEL_COLUMNS, buf_terminated(&label) ? label.data : "");
	add_scalar(out, value);
	buf_add_char(out, '\n');
}

static bool is_list_of_objects(const json_t *value)
{
	return json_is_array(value) && json_is_object(json_array_get(value, 0));
}

/* A list of like objects as a table: the first one's keys are the columns. */
static int add_list(struct buf *out, const char *title, const json_t *list)
{
	struct table_column columns[32];
	CLEANUP(table_deinit) struct table table = {0};
	const json_t *element, *value;
	const char *key;
	size_t n_columns = 0, i;

	json_object_foreach((json_t *)(uintptr_t)json_array_get(list, 0), key, value)
	{
		if (n_columns < ARRAY_SIZE(columns)) {
			columns[n_columns++] = (struct table_column){key, TABLE_LEFT};
		}
	}
	if (n_columns == 0) {
		return 0;
	}
	table_init(&table, columns, n_columns);
	json_array_foreach(list, i, element)
	{
		for (size_t k = 0; k < n_columns; k++) {
			CLEANUP(buf_deinit) struct buf cell = BUF_INIT;

			add_scalar(&cell, json_object_get(element, columns[k].title));
			table_add(&table, buf_terminated(&cell));
		}
	}
	buf_printf(out, "\n%s\n", title);
	return table_render(&table, term_width(STDOUT_FILENO), out);
}

/* What the reason of a failure asks for. */
static void add_hint(struct buf *out, const json_t *job)
{
	struct job_info info;
	const char *hint;

	if (job_info_read(job, &info) < 0 || info.state != JOB_STATE_FAILED) {
		return;
	}
	hint = summary_hint(job_info_reason(&info));
	if (hint) {
		buf_printf(out, "%-*s %s\n", LABEL_COLUMNS, "try", hint);
	}
}

static int print_job(const json_t *job, const json_t *workers)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	const json_t *value;
	const char *key;
	int r = 0;

	json_object_foreach((json_t *)(uintptr_t)job, key, value)
	{
		if (!is_list_of_objects(value)) {
			add_member(&text, key, value);
		}
	}
	add_hint(&text, job);
	json_object_foreach((json_t *)(uintptr_t)job, key, value)
	{
		if (is_list_of_objects(value) && r == 0) {
			r = add_list(&text, key, value);
		}
	}
	if (r == 0 && is_list_of_objects(workers)) {
		r = add_list(&text, "workers", workers);
	}
	if (r < 0) {
		term_error("%s", strerror(-r));
		return CTL_EXIT_FAILED;
	}
	return output_text(&text);
}

/* The job with a member "worker_list". */
static int print_json(json_t *job, json_t *workers)
{
	if (workers && json_object_set(job, "worker_list", workers) < 0) {
		term_error("no memory");
		return CTL_EXIT_FAILED;
	}
	return output_json(job);
}

int cmd_show(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {{0}};
	CLEANUP(api_closep) struct api *api = NULL;
	CLEANUP(client_json_decrefp) json_t *job = NULL, *document = NULL;
	int option = ctl_option_next(ctl, argc, argv, options);
	json_t *workers;
	int code;

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (argc - optind != 1) {
		return ctl_usage_error(ctl, "which job?");
	}
	code = client_open(ctl, &api);
	code = code ? code : client_get_job(ctl, api, argv[optind], "", CLIENT_TIMEOUT_NS, &job);
	code = code ? code
		    : client_get_job(ctl, api, argv[optind], "/workers", CLIENT_TIMEOUT_NS,
				     &document);
	if (code) {
		return code;
	}
	workers = json_object_get(document, "workers");
	return ctl->json ? print_json(job, workers) : print_job(job, workers);
}
