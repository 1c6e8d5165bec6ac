/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/model/counter.h"
#include "common/util/macro.h"

/*
 * The 256 bytes that a worker shows of itself, mapped by it and by the daemon. Little endian;
 * Python's struct format "qqqqii" reads the first 40. Counters are plain aligned stores: no lock,
 * no sequence number (a killed writer would leave it odd for ever).
 */
struct stats_page {
	_Atomic int64_t total_processed;
	_Atomic int64_t success_count;
	_Atomic int64_t error_count;
	_Atomic int64_t ram_bytes;
	_Atomic int32_t is_finished;
	_Atomic int32_t has_error;
	_Atomic int64_t bytes_read;
	_Atomic int64_t bytes_written;
	_Atomic int64_t heartbeat;
	char magic[8];
	uint16_t version;
	uint16_t file_size;
	uint32_t slot;
	_Atomic int32_t pid;
	uint32_t generation;
	_Atomic uint64_t start_ticks;
	uint64_t started_at;
	_Atomic int64_t peak_ram_bytes;
	_Atomic int64_t filtered;
	_Atomic int64_t chunks_done;
	_Atomic int64_t current_chunk;
	_Atomic int64_t phase;
	unsigned char reserved[112]; /* zeros */
};

#define STATS_MAGIC "ZOOSTAT1"
enum { STATS_VERSION = 1, STATS_FILE_SIZE = 256 };

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the stats file is little endian");
_Static_assert(sizeof(struct stats_page) == STATS_FILE_SIZE, "the stats file has 256 bytes");
_Static_assert(offsetof(struct stats_page, magic) == 64, "magic");
_Static_assert(offsetof(struct stats_page, version) == 72, "version");
_Static_assert(offsetof(struct stats_page, file_size) == 74, "file_size");
_Static_assert(offsetof(struct stats_page, slot) == 76, "slot");
_Static_assert(offsetof(struct stats_page, pid) == 80, "pid");
_Static_assert(offsetof(struct stats_page, generation) == 84, "generation");
_Static_assert(offsetof(struct stats_page, start_ticks) == 88, "start_ticks");
_Static_assert(offsetof(struct stats_page, started_at) == 96, "started_at");
#define STATS_ASSERT_(id, name, offset, bits, ...)                                                 \
	_Static_assert(offsetof(struct stats_page, name) == (offset), #name);                      \
	_Static_assert(sizeof(((struct stats_page *)NULL)->name) * 8 == (bits), #name);
COUNTER_LIST(STATS_ASSERT_)
#undef STATS_ASSERT_

/* The stall clock runs in every phase but WAITING. */
enum stats_phase {
	STATS_PHASE_STARTING,
	STATS_PHASE_READING,
	STATS_PHASE_CONVERTING,
	STATS_PHASE_WAITING,
	STATS_PHASE_WRITING,
	STATS_N_PHASES
};

/* "reading"; "unknown" for a number that is no phase. */
const char *stats_phase_name(int64_t phase);

/* Which process a page belongs to. */
struct stats_identity {
	uint32_t slot;
	uint32_t generation;   /* restarts of the slot */
	pid_t pid;	       /* 0 until the worker has called stats_page_set_process() */
	uint64_t start_ticks;  /* process_start_ticks() */
	int64_t started_at_ns; /* clock_realtime_ns() */
};

/* For the writer: the supervisor makes the file, the worker fills it. */

/*
 * Makes (or replaces) the file `name` in dirfd, complete before it has that name: a reader never
 * meets a half-made one. Mode 0640. A new fd (O_RDWR, CLOEXEC) or -errno; nothing is left behind.
 * One creator at a time in a directory.
 */
int stats_file_create(int dirfd, const char *name,
		      const struct stats_identity *identity) MUST_CHECK;

/*
 * Maps what stats_file_create() gave, for writing. -EINVAL: not a file of 256 bytes. A process has
 * one such page. If the file is cut, stores go to a page of our own that nobody sees.
 */
int stats_file_map(int fd, struct stats_page **ret_page) MUST_CHECK;

/* NULL is fine. */
void stats_file_unmap(struct stats_page *page);

/* The worker's first act; the supervisor could not know its pid before the fork. */
void stats_page_set_process(struct stats_page *page, pid_t pid, uint64_t start_ticks);

/* What one generation of a worker has done so far; totals, not steps. */
struct stats_progress {
	int64_t success_count;
	int64_t error_count;
	int64_t filtered;
	int64_t bytes_read;
	int64_t bytes_written;
};

#define STATS_STORE_(page, field, value)                                                           \
	atomic_store_explicit(&(page)->field, value, memory_order_relaxed)

/*
 * The hot path, at least once every 16 KiB of input. The total is stored last and with release: a
 * reader that loads it first sees total <= success + error + filtered.
 */
static inline void stats_page_publish(struct stats_page *page,
				      const struct stats_progress *progress, int64_t monotonic_ns)
{
	STATS_STORE_(page, bytes_read, progress->bytes_read);
	STATS_STORE_(page, bytes_written, progress->bytes_written);
	STATS_STORE_(page, heartbeat, monotonic_ns);
	STATS_STORE_(page, success_count, progress->success_count);
	STATS_STORE_(page, error_count, progress->error_count);
	STATS_STORE_(page, filtered, progress->filtered);
	atomic_store_explicit(&page->total_processed,
			      progress->success_count + progress->error_count + progress->filtered,
			      memory_order_release);
}

/* chunk: the one in work, -1 if none. */
static inline void stats_page_set_phase(struct stats_page *page, enum stats_phase phase,
					int64_t chunk)
{
	STATS_STORE_(page, current_chunk, chunk);
	STATS_STORE_(page, phase, phase);
}

static inline void stats_page_set_chunks_done(struct stats_page *page, int64_t n_chunks)
{
	STATS_STORE_(page, chunks_done, n_chunks);
}

/* Keeps the peak too. */
static inline void stats_page_set_ram(struct stats_page *page, int64_t ram_bytes)
{
	STATS_STORE_(page, ram_bytes, ram_bytes);
	if (ram_bytes > atomic_load_explicit(&page->peak_ram_bytes, memory_order_relaxed)) {
		STATS_STORE_(page, peak_ram_bytes, ram_bytes);
	}
}

static inline void stats_page_set_finished(struct stats_page *page, int has_error)
{
	STATS_STORE_(page, has_error, has_error);
	atomic_store_explicit(&page->is_finished, 1, memory_order_release);
}

/* For the reader: the daemon, and whoever asks for a file by name. */

/* What is wrong with a stats file; positive results of the functions below. */
enum stats_fault {
	STATS_FAULT_NONE,
	STATS_FAULT_MISSING,
	STATS_FAULT_UNREADABLE,	 /* permission (even where root could), I/O error */
	STATS_FAULT_NOT_REGULAR, /* symbolic link, FIFO, directory, ... */
	STATS_FAULT_SIZE,	 /* empty, too short, too long */
	STATS_FAULT_TRUNCATED,	 /* cut under the mapping */
	STATS_FAULT_MAGIC,
	STATS_FAULT_VERSION,  /* another layout version or size in the header */
	STATS_FAULT_VALUES,   /* counters that no worker can have counted */
	STATS_FAULT_REPLACED, /* the name leads to another file by now */
	STATS_N_FAULTS
};

/* One short phrase: "is not a regular file". Never NULL. */
const char *stats_fault_message(enum stats_fault fault);

/*
 * One reading. total_processed is the sum of success, error and filtered, so it always adds up.
 * Everything is the file's own claim: the daemon keys workers by what it started, not by this.
 */
struct stats_snapshot {
	struct stats_identity identity;
	int64_t values[COUNTER_N];
};

/* Judges 256 bytes at rest, from wherever they came; ret is set only on STATS_FAULT_NONE. */
enum stats_fault stats_file_decode(const struct stats_page *page, struct stats_snapshot *ret);

/* A mapped stats file. Zeros are a closed one. */
struct stats_reader {
	const struct stats_page *page;
	dev_t device;
	ino_t inode;
	bool is_truncated;
};

/*
 * Opens whatever stands under the name, without ever blocking on it or following it. 0, an enum
 * stats_fault, or -errno if the caller itself lacks something (-EMFILE, -ENOMEM, ...). The content
 * is judged by each stats_file_read(), not here. Keeps a mapping, no descriptor.
 *
 * The first call installs the process's SIGBUS handler (see stats_file.c), which must stay, and
 * SIGBUS must not be blocked while reading.
 */
int stats_file_open(int dirfd, const char *name, struct stats_reader *ret_reader) MUST_CHECK;

void stats_file_close(struct stats_reader *reader);

/*
 * Reads without a system call (~50 ns). Whatever is done to the file meanwhile, this returns.
 * ret is set only on STATS_FAULT_NONE. A closed reader is STATS_FAULT_MISSING. After
 * STATS_FAULT_TRUNCATED only closing and opening again helps.
 */
enum stats_fault stats_file_read(struct stats_reader *reader,
				 struct stats_snapshot *ret) MUST_CHECK;

/*
 * Whether the name still leads to this very file, regular and of the right size: what a mapping
 * alone can't see (a cut within the page reads as zeros). One fstatat(2); call it now and then,
 * once a second say, not at every reading.
 */
enum stats_fault stats_file_recheck(const struct stats_reader *reader, int dirfd, const char *name);
