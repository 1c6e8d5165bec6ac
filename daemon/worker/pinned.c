/* SPDX-License-Identifier: MIT */

/*
 * Workers of one pool inherit one open file description, and with it one file position: reading
 * with pread leaves it alone.
 */

#include "daemon/worker/pinned.h"

#include <errno.h>
#include <sys/stat.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/log.h"

static int read_whole(int fd, size_t max_bytes, struct buf *text)
{
	struct stat st;

	if (fstat(fd, &st) < 0) {
		return -errno;
	}
	if (st.st_size < 0 || (uint64_t)st.st_size > max_bytes) {
		return -EFBIG;
	}
	int r = buf_reserve(text, (size_t)st.st_size);
	if (r < 0) {
		return r;
	}
	ssize_t n = fd_pread_full(fd, text->data, (size_t)st.st_size, 0);
	if (n < 0) {
		return (int)n;
	}
	text->len = (size_t)n;
	return 0;
}

int pinned_load_spec(int fd, struct job_spec **ret_spec)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct spec_error error;
	int r = read_whole(fd, JOB_SPEC_MAX_BYTES, &text);

	if (r < 0) {
		return r;
	}
	r = job_spec_parse(text.data, text.len, ret_spec, &error);
	if (r == -EINVAL) {
		log_error("the pinned spec is broken: %s: %s", error.json_path, error.message);
	}
	return r;
}

int pinned_load_plan(int fd, struct plan **ret_plan)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	int r = read_whole(fd, PLAN_MAX_BYTES, &text);

	return r < 0 ? r : plan_load(text.data, text.len, ret_plan);
}
