/* SPDX-License-Identifier: MIT */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * Requests to `zooparallel-worker storage`: every call that may block on a disk. One request is
 * one packet on a SOCK_SEQPACKET pair, its descriptors beside it (SCM_RIGHTS, in the order named
 * below); one reply packet answers it, in order. Names are single components unless said
 * otherwise. Both ends are the same build, so the structs travel as they are in memory.
 */

enum storage_op {
	/* fds: dir, memfd with the data. Writes `name` durably (atomic replace, mode). */
	STORAGE_WRITE_FILE,
	/*
	 * fds: from dir, to dir. Renames name -> to_name with `flags` of renameat2, syncs both.
	 * With `size` an inode number: if name is gone and to_name is that inode, it was done
	 * before.
	 */
	STORAGE_RENAME,
	/* fds: dir. Removes `name`; a missing one is fine. */
	STORAGE_UNLINK,
	/* fds: dir. Removes the tree `name`; a missing one is fine. Does not follow links. */
	STORAGE_REMOVE_TREE,
	/* fds: dir. Creates directory `name` (mode; existing is fine), syncs dir. */
	STORAGE_MKDIR,
	/* fds: file. Truncates to `size`, then fsync: the attempt fails for good if this does. */
	STORAGE_FINISH_FILE,
	/* fds: dir. fsync. */
	STORAGE_SYNC_DIR,
	/* fds: file. fdatasync: as with STORAGE_FINISH_FILE, a failure is for good. */
	STORAGE_SYNC_FILE,
	/*
	 * fds: dir, memfd with the data. Writes over `name` in place (mode, if it is made), then
	 * fdatasync. For records of which another stays whole while this one is torn.
	 */
	STORAGE_WRITE_RECORD,
	/* fds: file (readable), to dir. Copies its first `size` lines into to_name, durably. */
	STORAGE_COPY_LINES,
	/* fds: dir. Unlinks every entry that starts with `name` (a prefix) and ends in ".part". */
	STORAGE_SWEEP_PARTS,
	/* fds: dir. Unlinks what writes that were cut off have left there under their own names. */
	STORAGE_SWEEP_TEMPORARIES,
	/*
	 * fds: dir, memfd (optional). Counts the entries that do not begin with a dot, end in
	 * `name` and do not end in `to_name` (each only if not ""). Reply: `count`. The names go
	 * into the memfd, each with its NUL, oldest (by mtime) first, at most `size` of them.
	 */
	STORAGE_LIST,
	/*
	 * fds: incoming dir, active dir, jobs dir, empty memfd. Claims the spec `name` for job
	 * `to_name` (an ID): checks it (regular, one link, owner in uids, at most `size` bytes, no
	 * writer), copies it durably to jobs/ID/spec.json and into the memfd, renames it to
	 * active/ID.name. Reply: `uid` of the owner and a status: -EAGAIN if a writer still has it
	 * open; with `is_refused`, the file itself must not be taken: -EPERM (owner), -EMLINK,
	 * -EFBIG, -ELOOP (symbolic link), -EINVAL (not regular), -EACCES (unreadable), -EILSEQ
	 * (its name is not UTF-8). Any other failure is the spool's or the state's. With
	 * STORAGE_CLAIM_AGAIN in `flags`, a claim for this ID may have been cut off: it is finished
	 * if the spec has moved, else begun anew.
	 */
	STORAGE_CLAIM,
	STORAGE_N_OPS,
};

#define STORAGE_CLAIM_AGAIN 1U

#define STORAGE_MAX_FDS	 4
#define STORAGE_MAX_UIDS 64
#define STORAGE_NAME_MAX (NAME_MAX + 1)

struct storage_request {
	uint32_t op; /* enum storage_op */
	uint32_t n_fds;
	uint32_t flags;
	uint32_t mode;
	uint64_t size;
	uint64_t cookie; /* comes back in the reply */
	uint32_t n_uids; /* STORAGE_CLAIM: owners that are allowed */
	uint32_t uids[STORAGE_MAX_UIDS];
	char name[STORAGE_NAME_MAX];
	char to_name[STORAGE_NAME_MAX];
};

struct storage_reply {
	uint64_t cookie;
	int32_t status;	 /* 0 or -errno */
	uint32_t uid;	 /* STORAGE_CLAIM */
	uint64_t count;	 /* STORAGE_LIST */
	bool is_refused; /* STORAGE_CLAIM: status is about the spec, not about the system */
	bool is_lost;	 /* the process died: whether the request was carried out is not known */
};
