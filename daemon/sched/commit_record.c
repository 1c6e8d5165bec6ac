/* SPDX-License-Identifier: MIT */
/*
 * commit.json: once it is on the disk, the renames it names will be done, by this daemon or the
 * next. It carries the whole result, so that the next one needs nothing else.
 */
#include <errno.h>
#include <string.h>

#include "daemon/sched/job_store.h"
#include "daemon/sched/record.h"

#define MAX_FILES 2048

#define REQUIRED(kind, member) RECORD_FIELD(struct commit_file, kind, member, true)
static const struct record_field file_fields[] = {
	REQUIRED(RECORD_U32, root),	  REQUIRED(RECORD_STRING, temporary),
	REQUIRED(RECORD_STRING, target),  REQUIRED(RECORD_U64, dev),
	REQUIRED(RECORD_U64, inode),	  REQUIRED(RECORD_U64, size_bytes),
	REQUIRED(RECORD_BOOL, is_errors), REQUIRED(RECORD_BOOL, is_noreplace),
};
#undef REQUIRED

void commit_record_free(struct commit_record *record)
{
	if (!record) {
		return;
	}
	for (size_t i = 0; i < record->n_files; i++) {
		record_free_strings(file_fields, ARRAY_SIZE(file_fields), &record->files[i]);
	}
	job_result_free(record->result);
	free(record->files);
	free(record);
}

static void commit_record_freep(struct commit_record **record)
{
	commit_record_free(*record);
}

void commit_record_render(const struct commit_record *record, struct buf *out)
{
	buf_add_str(out, "{\"version\":1,\"files\":[");
	for (size_t i = 0; i < record->n_files; i++) {
		buf_add_str(out, i > 0 ? ",{" : "{");
		record_render(file_fields, ARRAY_SIZE(file_fields), &record->files[i], out);
		buf_add_char(out, '}');
	}
	buf_add_str(out, "],\"result\":");
	job_result_render(record->result, out);
	buf_add_str(out, "}\n");
}

static int parse_files(const json_t *array, struct commit_record *record)
{
	size_t n_files = json_array_size(array);
	if (!json_is_array(array) || n_files > MAX_FILES) {
		return -EINVAL;
	}
	record->files = calloc(n_files + 1, sizeof(*record->files));
	if (!record->files) {
		return -ENOMEM;
	}
	for (size_t i = 0; i < n_files; i++) {
		record->n_files = i + 1;
		int r = record_parse(file_fields, ARRAY_SIZE(file_fields), json_array_get(array, i),
				     &record->files[i]);
		if (r < 0) {
			return r;
		}
	}
	return 0;
}

/* The result has a parser of its own, which takes text. */
static int parse_result(const json_t *object, struct job_result **ret_result)
{
	CLEANUP(free_p) char *text = object ? json_dumps(object, JSON_COMPACT) : NULL;
	if (!text) {
		return object ? -ENOMEM : -EINVAL;
	}
	return job_result_parse(text, strlen(text), ret_result);
}

int commit_record_parse(const char *text, size_t len, struct commit_record **ret_record)
{
	CLEANUP(record_unrefp) json_t *object = NULL;
	CLEANUP(commit_record_freep) struct commit_record *record = calloc(1, sizeof(*record));
	int r = record ? record_load(text, len, &object) : -ENOMEM;
	if (r < 0) {
		return r;
	}
	r = parse_files(json_object_get(object, "files"), record);
	if (r == 0) {
		r = parse_result(json_object_get(object, "result"), &record->result);
	}
	if (r == 0) {
		*ret_record = TAKE_PTR(record);
	}
	return r;
}
