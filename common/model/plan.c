/* SPDX-License-Identifier: MIT */

/*
 * The plan is written by hand rather than through a JSON tree: with tens of thousands of columns
 * or files the tree would be the largest thing in the process. Reading it back, with all its
 * checks, is plan_load.c.
 */
#include "common/model/plan.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util/clock.h"

static void free_files(struct plan_pipe *pipe)
{
	for (size_t i = 0; i < pipe->n_files; i++) {
		free(pipe->files[i].path);
		free(pipe->files[i].field_of);
	}
	free(pipe->files);
}

static void free_columns(struct plan_pipe *pipe)
{
	for (size_t i = 0; i < pipe->n_columns; i++) {
		free(pipe->columns[i]);
	}
	free(pipe->columns);
}

struct plan *plan_free(struct plan *plan)
{
	if (plan == NULL) {
		return NULL;
	}
	for (size_t i = 0; i < plan->n_pipes; i++) {
		free_files(&plan->pipes[i]);
		free_columns(&plan->pipes[i]);
	}
	free(plan->pipes);
	free(plan->message);
	free(plan);
	return NULL;
}

void plan_freep(struct plan **plan)
{
	*plan = plan_free(*plan);
}

static void render_field_of(const uint32_t *field_of, size_t n_columns, struct buf *out)
{
	if (field_of == NULL) {
		buf_add_str(out, ",\"field_of\":null}");
		return;
	}
	buf_add_str(out, ",\"field_of\":[");
	for (size_t c = 0; c < n_columns; c++) {
		buf_printf(out, "%s%" PRIu32, c == 0 ? "" : ",", field_of[c]);
	}
	buf_add_str(out, "]}");
}

static void render_file(const struct plan_file *file, size_t n_columns, struct buf *out)
{
	const struct plan_identity *identity = &file->identity;

	buf_add_str(out, "{\"path\":");
	buf_add_json_string(out, file->path, strlen(file->path));
	/* JSON readers know signed numbers: a device or inode above 2^63 keeps its bits. */
	buf_printf(out, ",\"dev\":%" PRId64 ",\"inode\":%" PRId64 ",\"size_bytes\":%" PRIu64,
		   (int64_t)identity->dev, (int64_t)identity->inode, identity->size_bytes);
	buf_printf(out, ",\"mtime_ns\":%" PRId64 ",\"ctime_ns\":%" PRId64, identity->mtime_ns,
		   identity->ctime_ns);
	buf_printf(out, ",\"data_offset\":%" PRIu64 ",\"data_line\":%" PRIu64, file->data_offset,
		   file->data_line);
	render_field_of(file->field_of, n_columns, out);
}

static void render_pipe(const struct plan_pipe *pipe, struct buf *out)
{
	buf_printf(out, "{\"root\":%u,\"columns\":[", pipe->root);
	for (size_t c = 0; c < pipe->n_columns; c++) {
		buf_add_str(out, c == 0 ? "" : ",");
		buf_add_json_string(out, pipe->columns[c], strlen(pipe->columns[c]));
	}
	buf_add_str(out, "],\"files\":[");
	for (size_t i = 0; i < pipe->n_files; i++) {
		buf_add_str(out, i == 0 ? "\n" : ",\n");
		render_file(&pipe->files[i], pipe->n_columns, out);
	}
	buf_add_str(out, "]}");
}

void plan_render(const struct plan *plan, struct buf *out)
{
	const char *message = plan->message == NULL ? "" : plan->message;

	buf_printf(out, "{\"version\":1,\"chunk_size\":%" PRIu64 ",\"failure\":\"%s\",\"message\":",
		   plan->chunk_size, job_reason_name(plan->failure));
	buf_add_json_string(out, message, strlen(message));
	buf_add_str(out, ",\"pipes\":[");
	for (size_t i = 0; i < plan->n_pipes; i++) {
		buf_add_str(out, i == 0 ? "\n" : ",\n");
		render_pipe(&plan->pipes[i], out);
	}
	buf_add_str(out, "]}\n");
}

struct plan_chunk plan_chunk_at(const struct plan *plan, const struct plan_pipe *pipe,
				uint64_t chunk)
{
	size_t low = 0;
	size_t high = pipe->n_files;

	/* The last file that begins at or before the chunk: one without chunks begins where the
	 * next one does, and is never the last of those. */
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (pipe->files[middle].first_chunk <= chunk) {
			low = middle;
		} else {
			high = middle;
		}
	}

	const struct plan_file *file = &pipe->files[low];
	uint64_t number = chunk - file->first_chunk;
	uint64_t begin = file->data_offset + number * plan->chunk_size;
	bool is_last = number + 1 == file->n_chunks;

	return (struct plan_chunk){
		.file = low,
		.begin = begin,
		.end = is_last ? file->identity.size_bytes : begin + plan->chunk_size,
		.is_first_of_file = number == 0,
		.is_last_of_file = is_last,
	};
}

static int64_t timespec_ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * CLOCK_NS_PER_SEC + time->tv_nsec;
}

int plan_identity_of(int fd, struct plan_identity *ret_identity)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	*ret_identity = (struct plan_identity){
		.dev = st.st_dev,
		.inode = st.st_ino,
		.size_bytes = (uint64_t)st.st_size,
		.mtime_ns = timespec_ns(&st.st_mtim),
		.ctime_ns = timespec_ns(&st.st_ctim),
	};
	return 0;
}

bool plan_identity_equal(const struct plan_identity *a, const struct plan_identity *b)
{
	return a->dev == b->dev && a->inode == b->inode && a->size_bytes == b->size_bytes &&
	       a->mtime_ns == b->mtime_ns && a->ctime_ns == b->ctime_ns;
}
