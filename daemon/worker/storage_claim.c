/* SPDX-License-Identifier: MIT */
/*
 * The claim of a spec: from a file that a user still holds to a copy that is ours.
 *
 *	step				killed after it
 *	1 look at the file, read it	nothing has changed
 *	2 jobs/ID/ and spec.json, synced	spec still in incoming/: claimed anew under another
 *					ID; jobs/ID has no receipt and is removed at start
 *	3 rename to active/ID.name	the job exists: jobs/ID/spec.json and its receipt
 *	4 sync both directories		the same, and after a power cut too
 *
 * Whether a writer still has the file open is asked by taking a read lease on it, which the kernel
 * refuses as long as there is one and which makes a later writer wait until we have read. A lease
 * needs the file's owner or CAP_LEASE, and a file system that knows leases. Where it can't be had,
 * a file counts as written when it has not changed for MIN_AGE_NS.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/atomic_file.h"
#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/str.h"
#include "daemon/worker/storage_ops.h"

#define MIN_AGE_NS     CLOCK_NS_PER_SEC
#define JOB_DIR_MODE   0750
#define SPEC_FILE_MODE 0640

struct claim {
	const struct storage_request *request;
	int incoming_fd, active_fd, jobs_fd, text_fd;
	struct storage_reply *reply;
	struct buf text;
	struct stat st; /* of the file that was read */
	char receipt[STORAGE_NAME_MAX];
};

/* The file itself is at fault, and stays so. */
static int refuse(struct claim *claim, int status)
{
	claim->reply->is_refused = true;
	return status;
}

static bool is_allowed_owner(const struct storage_request *request, uid_t uid)
{
	if (uid == 0 || uid == geteuid()) {
		return true;
	}
	for (uint32_t i = 0; i < request->n_uids; i++) {
		if (request->uids[i] == uid) {
			return true;
		}
	}
	return false;
}

static int check_file(struct claim *claim, const struct stat *st)
{
	claim->reply->uid = st->st_uid;
	if (S_ISLNK(st->st_mode)) {
		return refuse(claim, -ELOOP);
	}
	if (!S_ISREG(st->st_mode)) {
		return refuse(claim, -EINVAL);
	}
	if (!is_allowed_owner(claim->request, st->st_uid)) {
		return refuse(claim, -EPERM);
	}
	if (st->st_nlink != 1) {
		return refuse(claim, -EMLINK);
	}
	return (uint64_t)st->st_size > claim->request->size ? refuse(claim, -EFBIG) : 0;
}

/* Looks before it opens (a device may act on being opened), and again at what it has opened. */
static int open_file(struct claim *claim, int *ret_fd)
{
	const char *name = claim->request->name;
	if (fstatat(claim->incoming_fd, name, &claim->st, AT_SYMLINK_NOFOLLOW) < 0) {
		return -errno;
	}
	int r = check_file(claim, &claim->st);
	if (r < 0) {
		return r;
	}
	CLEANUP(fd_closep)
	int fd = openat(claim->incoming_fd, name,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0) {
		return errno == EACCES || errno == ELOOP ? refuse(claim, -errno) : -errno;
	}
	if (fstat(fd, &claim->st) < 0) {
		return -errno;
	}
	r = check_file(claim, &claim->st);
	if (r == 0) {
		*ret_fd = TAKE_FD(fd);
	}
	return r;
}

static int64_t timespec_ns(struct timespec time)
{
	return time.tv_sec * CLOCK_NS_PER_SEC + time.tv_nsec;
}

/* 0 or -EAGAIN. A lease that was got is given back when the file is closed. */
static int check_no_writer(const struct claim *claim, int fd)
{
	if (fcntl(fd, F_SETLEASE, F_RDLCK) == 0) {
		return 0;
	}
	if (errno == EAGAIN) {
		return -EAGAIN;
	}
	int64_t age_ns = clock_realtime_ns() - timespec_ns(claim->st.st_mtim);
	/* A time in the future must not keep the file waiting for it. */
	return age_ns >= 0 && age_ns < MIN_AGE_NS ? -EAGAIN : 0;
}

static bool is_unchanged(const struct stat *a, const struct stat *b)
{
	return a->st_size == b->st_size && a->st_nlink == b->st_nlink &&
	       timespec_ns(a->st_mtim) == timespec_ns(b->st_mtim) &&
	       timespec_ns(a->st_ctim) == timespec_ns(b->st_ctim);
}

static int read_text(struct claim *claim, int fd)
{
	int r = check_no_writer(claim, fd);
	if (r < 0) {
		return r;
	}
	r = fd_read_all(fd, claim->request->size, &claim->text);
	if (r < 0) {
		return r == -EFBIG ? refuse(claim, r) : r;
	}
	struct stat now;
	if (fstat(fd, &now) < 0) {
		return -errno;
	}
	if (!is_unchanged(&claim->st, &now)) {
		return -EAGAIN;
	}
	return fd_pwrite_all(claim->text_fd, claim->text.data, claim->text.len, 0);
}

static int save_copy(const struct claim *claim)
{
	const char *id = claim->request->to_name;
	if (mkdirat(claim->jobs_fd, id, JOB_DIR_MODE) < 0) {
		/* ENOENT is the spec's: here it is the state directory that is gone. */
		return errno == ENOENT ? -ESTALE : -errno;
	}
	CLEANUP(fd_closep)
	int fd = openat(claim->jobs_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0) {
		return -errno;
	}
	int r = atomic_file_write(fd, "spec.json", claim->text.data, claim->text.len,
				  SPEC_FILE_MODE);
	return r < 0 ? r : storage_sync_dir(claim->jobs_fd);
}

/* A user may have put another file under the name while we read the first. */
static bool is_moved_file(const struct claim *claim)
{
	struct stat st;
	return fstatat(claim->active_fd, claim->receipt, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_dev == claim->st.st_dev && st.st_ino == claim->st.st_ino;
}

static int move_file(const struct claim *claim)
{
	const char *name = claim->request->name;
	if (renameat2(claim->incoming_fd, name, claim->active_fd, claim->receipt,
		      RENAME_NOREPLACE) < 0) {
		return -errno;
	}
	int r = is_moved_file(claim) ? storage_sync_dir(claim->active_fd) : -EAGAIN;
	if (r == 0) {
		r = storage_sync_dir(claim->incoming_fd);
	}
	if (r < 0 && renameat2(claim->active_fd, claim->receipt, claim->incoming_fd, name,
			       RENAME_NOREPLACE) < 0) {
		return -errno;
	}
	return r;
}

static int check_name(struct claim *claim)
{
	const struct storage_request *request = claim->request;
	if (!str_is_utf8(request->name, strlen(request->name), NULL)) {
		return refuse(claim, -EILSEQ);
	}
	int n = snprintf(claim->receipt, sizeof(claim->receipt), "%s.%s", request->to_name,
			 request->name);
	return (size_t)n < sizeof(claim->receipt) ? 0 : refuse(claim, -ENAMETOOLONG);
}

/*
 * The claim for this ID was cut off. Returns 1 if that was after the rename, so that it only has to
 * be told; 0 if all is as before; -errno.
 */
static int claim_resume(struct claim *claim)
{
	CLEANUP(fd_closep)
	int fd = openat(claim->active_fd, claim->receipt,
			O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0) {
		return errno == ENOENT
			       ? storage_remove_tree(claim->jobs_fd, claim->request->to_name)
			       : -errno;
	}
	/* The copy counts, not the file: its owner may have changed that by now. */
	char path[STORAGE_NAME_MAX + sizeof("/spec.json")];
	snprintf(path, sizeof(path), "%s/spec.json", claim->request->to_name);
	CLEANUP(fd_closep)
	int copy_fd = openat(claim->jobs_fd, path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	if (copy_fd < 0 || fstat(fd, &claim->st) < 0) {
		return -errno;
	}
	claim->reply->uid = claim->st.st_uid;
	int r = fd_read_all(copy_fd, claim->request->size, &claim->text);
	if (r == 0) {
		r = fd_pwrite_all(claim->text_fd, claim->text.data, claim->text.len, 0);
	}
	return r < 0 ? r : 1;
}

static int claim_run(struct claim *claim)
{
	int r = check_name(claim);
	if (r < 0) {
		return r;
	}
	if (claim->request->flags & STORAGE_CLAIM_AGAIN) {
		r = claim_resume(claim);
		if (r != 0) {
			return r < 0 ? r : 0;
		}
	}
	CLEANUP(fd_closep) int fd = -1;
	r = open_file(claim, &fd);
	if (r < 0) {
		return r;
	}
	r = read_text(claim, fd);
	if (r < 0) {
		return r;
	}
	r = save_copy(claim);
	if (r == 0) {
		r = move_file(claim);
	}
	if (r < 0 && r != -EEXIST && !is_moved_file(claim)) {
		int removed = storage_remove_tree(claim->jobs_fd, claim->request->to_name);
		if (removed < 0) {
			/* It has no receipt, so the next start removes it. */
			log_warning("storage: cannot remove jobs/%s of a claim that failed: %s",
				    claim->request->to_name, strerror(-removed));
		}
	}
	return r;
}

int storage_op_claim(const struct storage_request *request, const int *fds,
		     struct storage_reply *reply)
{
	struct claim claim = {.request = request,
			      .incoming_fd = fds[0],
			      .active_fd = fds[1],
			      .jobs_fd = fds[2],
			      .text_fd = fds[3],
			      .reply = reply,
			      .text = BUF_INIT};
	int r = claim_run(&claim);
	buf_deinit(&claim.text);
	return r;
}
