/* SPDX-License-Identifier: MIT */
/*
 * Each operation leaves what it promised on the disk before it returns 0, and after a failure
 * either nothing or something that is named in its comment. No fsync is tried twice: after a
 * failed one the kernel may have dropped the pages, and the second would lie.
 */
#include "daemon/worker/storage_ops.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/atomic_file.h"
#include "common/util/buf.h"
#include "common/util/fd.h"
#include "common/util/str.h"

#define MAX_FILE_BYTES	(256 * 1024 * 1024)
#define MAX_LINES_BYTES (64 * 1024 * 1024)
#define MAX_DEPTH	16
#define READ_BYTES	65536
#define PART_SUFFIX	".part"

static void dir_closep(DIR **dir)
{
	if (*dir) {
		closedir(*dir);
	}
}

/* A DIR with a position of its own, or NULL and errno; dir_fd stays the caller's. */
static DIR *dir_open(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		fd_close(fd);
	}
	return dir;
}

int storage_sync_dir(int dir_fd)
{
	CLEANUP(fd_closep) int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	return fsync(fd) < 0 && errno != EINVAL ? -errno : 0;
}

static int op_write_file(const struct storage_request *request, const int *fds,
			 struct storage_reply *reply)
{
	CLEANUP(buf_deinit) struct buf data = BUF_INIT;
	if (lseek(fds[1], 0, SEEK_SET) < 0) {
		return -errno;
	}
	int r = fd_read_all(fds[1], MAX_FILE_BYTES, &data);
	if (r < 0) {
		return r;
	}
	return atomic_file_write(fds[0], request->name, data.data, data.len, request->mode);
}

static bool is_inode(int dir_fd, const char *name, uint64_t inode)
{
	struct stat st;
	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_ino == inode;
}

static int op_rename(const struct storage_request *request, const int *fds,
		     struct storage_reply *reply)
{
	if (renameat2(fds[0], request->name, fds[1], request->to_name, request->flags) < 0) {
		int r = -errno;
		if (r != -ENOENT || request->size == 0 ||
		    !is_inode(fds[1], request->to_name, request->size)) {
			return r;
		}
	}
	int r = storage_sync_dir(fds[1]);
	return r < 0 ? r : storage_sync_dir(fds[0]);
}

static int op_unlink(const struct storage_request *request, const int *fds,
		     struct storage_reply *reply)
{
	return unlinkat(fds[0], request->name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_entries(DIR *dir, int depth);

static int remove_at(int dir_fd, const char *name, int depth)
{
	if (unlinkat(dir_fd, name, 0) == 0 || errno == ENOENT) {
		return 0;
	}
	if (errno != EISDIR && errno != EPERM) {
		return -errno;
	}
	if (depth > MAX_DEPTH) {
		return -ELOOP;
	}
	CLEANUP(dir_closep) DIR *dir = dir_open(dir_fd, name);
	if (!dir) {
		return errno == ENOTDIR ? -EPERM : -errno;
	}
	int r = remove_entries(dir, depth);
	if (r < 0) {
		return r;
	}
	return unlinkat(dir_fd, name, AT_REMOVEDIR) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_entries(DIR *dir, int depth)
{
	struct dirent *entry;
	while ((errno = 0, entry = readdir(dir))) {
		if (str_equal(entry->d_name, ".") || str_equal(entry->d_name, "..")) {
			continue;
		}
		int r = remove_at(dirfd(dir), entry->d_name, depth + 1);
		if (r < 0) {
			return r;
		}
	}
	return -errno;
}

int storage_remove_tree(int dir_fd, const char *name)
{
	return remove_at(dir_fd, name, 0);
}

static int op_remove_tree(const struct storage_request *request, const int *fds,
			  struct storage_reply *reply)
{
	return storage_remove_tree(fds[0], request->name);
}

static int op_mkdir(const struct storage_request *request, const int *fds,
		    struct storage_reply *reply)
{
	if (mkdirat(fds[0], request->name, request->mode) < 0) {
		struct stat st;
		if (errno != EEXIST) {
			return -errno;
		}
		if (fstatat(fds[0], request->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
			return -errno;
		}
		if (!S_ISDIR(st.st_mode)) {
			return -ENOTDIR;
		}
	}
	return storage_sync_dir(fds[0]);
}

/* The truncation also gives back what was allocated behind the end, so it is never left out. */
static int op_finish_file(const struct storage_request *request, const int *fds,
			  struct storage_reply *reply)
{
	return ftruncate(fds[0], (off_t)request->size) < 0 || fsync(fds[0]) < 0 ? -errno : 0;
}

static int op_sync_file(const struct storage_request *request, const int *fds,
			struct storage_reply *reply)
{
	return fdatasync(fds[0]) < 0 ? -errno : 0;
}

static int write_record(int fd, const struct buf *data)
{
	int r = fd_pwrite_all(fd, data->data, data->len, 0);

	if (r < 0) {
		return r;
	}
	return ftruncate(fd, (off_t)data->len) < 0 || fdatasync(fd) < 0 ? -errno : 0;
}

/* The directory is synced each time: no one remembers whether the file's name is durable yet. */
static int op_write_record(const struct storage_request *request, const int *fds,
			   struct storage_reply *reply)
{
	CLEANUP(buf_deinit) struct buf data = BUF_INIT;
	int r = lseek(fds[1], 0, SEEK_SET) < 0 ? -errno
					       : fd_read_all(fds[1], MAX_FILE_BYTES, &data);
	if (r < 0) {
		return r;
	}
	CLEANUP(fd_closep)
	int fd = openat(fds[0], request->name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
			request->mode);
	if (fd < 0) {
		return -errno;
	}
	r = write_record(fd, &data);
	return r < 0 ? r : storage_sync_dir(fds[0]);
}

static int op_sync_dir(const struct storage_request *request, const int *fds,
		       struct storage_reply *reply)
{
	return storage_sync_dir(fds[0]);
}

/* Where line number n_lines (counted from 1) ends, or len; takes what it passes off *n_lines. */
static size_t lines_end(const char *data, size_t len, uint64_t *n_lines)
{
	size_t end = 0;
	while (*n_lines > 0 && end < len) {
		const char *newline = memchr(data + end, '\n', len - end);
		if (!newline) {
			return len;
		}
		end = (size_t)(newline - data) + 1;
		(*n_lines)--;
	}
	return end;
}

/* Reads whole lines from fd's start, at most n_lines; what a crash cut at the end is left out. */
static int read_lines(int fd, uint64_t n_lines, struct buf *out)
{
	off_t offset = 0;
	while (n_lines > 0 && out->len < MAX_LINES_BYTES) {
		if (buf_reserve(out, READ_BYTES) < 0) {
			return -ENOMEM;
		}
		char *data = out->data + out->len;
		ssize_t n = fd_pread_full(fd, data, READ_BYTES, offset);
		if (n < 0) {
			return (int)n;
		}
		if (n == 0) {
			break;
		}
		out->len += lines_end(data, (size_t)n, &n_lines);
		offset += n;
	}
	const char *newline = out->len > 0 ? memrchr(out->data, '\n', out->len) : NULL;
	out->len = newline ? (size_t)(newline - out->data) + 1 : 0;
	return 0;
}

static int op_copy_lines(const struct storage_request *request, const int *fds,
			 struct storage_reply *reply)
{
	CLEANUP(buf_deinit) struct buf lines = BUF_INIT;
	int r = read_lines(fds[0], request->size, &lines);
	if (r < 0) {
		return r;
	}
	return atomic_file_write(fds[1], request->to_name, lines.data, lines.len, request->mode);
}

static int op_sweep_parts(const struct storage_request *request, const int *fds,
			  struct storage_reply *reply)
{
	CLEANUP(dir_closep) DIR *dir = dir_open(fds[0], ".");
	struct dirent *entry;
	int r = 0;
	if (!dir) {
		return -errno;
	}
	while (r == 0 && (errno = 0, entry = readdir(dir))) {
		if (str_starts_with(entry->d_name, request->name) &&
		    str_ends_with(entry->d_name, PART_SUFFIX) &&
		    unlinkat(fds[0], entry->d_name, 0) < 0 && errno != ENOENT) {
			r = -errno;
		}
	}
	return r < 0 ? r : -errno;
}

static int op_sweep_temporaries(const struct storage_request *request, const int *fds,
				struct storage_reply *reply)
{
	int r = atomic_file_sweep(fds[0]);
	return r < 0 ? r : 0;
}

struct op {
	storage_op_fn run;
	uint8_t min_fds, max_fds;
	bool has_name, has_to_name; /* single components; else the op makes its own of them */
};

static const struct op ops[STORAGE_N_OPS] = {
	[STORAGE_WRITE_FILE] = {op_write_file, 2, 2, true, false},
	[STORAGE_RENAME] = {op_rename, 2, 2, true, true},
	[STORAGE_UNLINK] = {op_unlink, 1, 1, true, false},
	[STORAGE_REMOVE_TREE] = {op_remove_tree, 1, 1, true, false},
	[STORAGE_MKDIR] = {op_mkdir, 1, 1, true, false},
	[STORAGE_FINISH_FILE] = {op_finish_file, 1, 1, false, false},
	[STORAGE_SYNC_DIR] = {op_sync_dir, 1, 1, false, false},
	[STORAGE_SYNC_FILE] = {op_sync_file, 1, 1, false, false},
	[STORAGE_WRITE_RECORD] = {op_write_record, 2, 2, true, false},
	[STORAGE_COPY_LINES] = {op_copy_lines, 2, 2, false, true},
	[STORAGE_SWEEP_PARTS] = {op_sweep_parts, 1, 1, true, false},
	[STORAGE_SWEEP_TEMPORARIES] = {op_sweep_temporaries, 1, 1, false, false},
	[STORAGE_LIST] = {storage_op_list, 1, 2, false, false},
	[STORAGE_CLAIM] = {storage_op_claim, 4, 4, true, true},
};

static bool is_component(const char *name)
{
	size_t len = strnlen(name, STORAGE_NAME_MAX);
	return len > 0 && len < STORAGE_NAME_MAX && !memchr(name, '/', len) &&
	       !str_equal(name, ".") && !str_equal(name, "..");
}

static bool is_terminated(const char *name)
{
	return memchr(name, '\0', STORAGE_NAME_MAX) != NULL;
}

int storage_ops_run(const struct storage_request *request, const int *fds,
		    struct storage_reply *reply)
{
	if (request->op >= STORAGE_N_OPS) {
		return -EINVAL;
	}
	const struct op *op = &ops[request->op];
	if (request->n_fds < op->min_fds || request->n_fds > op->max_fds ||
	    request->n_uids > STORAGE_MAX_UIDS || !is_terminated(request->name) ||
	    !is_terminated(request->to_name) || (op->has_name && !is_component(request->name)) ||
	    (op->has_to_name && !is_component(request->to_name))) {
		return -EINVAL;
	}
	return op->run(request, fds, reply);
}
