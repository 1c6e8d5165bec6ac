/* SPDX-License-Identifier: MIT */
/*
 * A mount has flags of its own beside those of its file system, and statvfs(2) gives the sum of
 * both: only mountinfo tells them apart. A disk that is read-only itself is as its owner wants it,
 * and may well be a data root that jobs only read.
 */
#include "daemon/core/sandbox.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/num.h"
#include "common/util/str.h"

#define MOUNTINFO_MAX_BYTES ((size_t)16 << 20)

enum { FIELD_ID = 0, FIELD_OPTIONS = 5 };

/* "ro" is always the first of the options, as "rw" is. */
static bool is_read_only(const char *options)
{
	return str_equal(options, "ro") || str_starts_with(options, "ro,");
}

/* Of one line; its last field has the options of the file system. */
static bool is_closed_mount(char *line, uint64_t mount_id)
{
	char *position = NULL, *last = NULL;
	bool is_read_only_here = false;
	uint64_t id;
	int index = 0;

	for (char *field = strtok_r(line, " ", &position); field != NULL;
	     field = strtok_r(NULL, " ", &position), index++) {
		if (index == FIELD_ID && (num_parse_u64(field, &id) < 0 || id != mount_id)) {
			return false;
		}
		if (index == FIELD_OPTIONS) {
			is_read_only_here = is_read_only(field);
		}
		last = field;
	}
	return is_read_only_here && index > FIELD_OPTIONS + 1 && !is_read_only(last);
}

bool sandbox_closes_mount(char *mountinfo, uint64_t mount_id)
{
	char *position = NULL;

	for (char *line = strtok_r(mountinfo, "\n", &position); line != NULL;
	     line = strtok_r(NULL, "\n", &position)) {
		if (is_closed_mount(line, mount_id)) {
			return true;
		}
	}
	return false;
}

bool sandbox_closes(int fd)
{
	CLEANUP(fd_closep) int list = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	struct statx status;

	if (list < 0 || statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &status) < 0 ||
	    (status.stx_mask & STATX_MNT_ID) == 0 ||
	    fd_read_all(list, MOUNTINFO_MAX_BYTES, &text) < 0 || buf_terminated(&text) == NULL) {
		return false;
	}
	return sandbox_closes_mount(text.data, status.stx_mnt_id);
}
