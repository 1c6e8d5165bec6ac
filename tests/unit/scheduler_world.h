/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The scheduler with real workers in a temporary tree: what a job leaves on disk and what is shown
 * of it, whatever happens on the way. The workers are first this very program, so that a test can
 * have them play a part, the one that ZOOPARALLEL_TEST_PART names; else it executes the real one.
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "common/model/chunk_table.h"
#include "common/model/worker_protocol.h"
#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/log.h"
#include "common/util/num.h"
#include "common/util/str.h"
#include "daemon/core/loop.h"
#include "daemon/core/storage.h"
#include "daemon/sched/scheduler.h"

#define PATIENCE_NS (30 * CLOCK_NS_PER_SEC)

struct world {
	char top[64];
	int top_fd, data_fd, program_fd;
	int dirs[5]; /* state/jobs, state, run/jobs, spool, and their order is that of dir_names */
	char data_path[128];
	char *root_paths[1];
	struct loop *loop;
	struct storage *storage;
	struct scheduler *scheduler;
	struct scheduler_options options;
	struct loop_source *tick;
	void (*on_tick)(struct world *world);
	bool (*is_done)(struct world *world);
	int64_t deadline_ns;
	bool is_stopped;
	char id[24];		    /* the job that the test looks at */
	struct job_view seen;	    /* its plain values */
	struct pipe_view seen_pipe; /* the first */
	char seen_message[1024];
	char seen_phase[32];
	bool was_seen;
	int32_t pids[64];
	unsigned n_kills;
	int64_t n_rows_at_kill;
	unsigned max_running;
	unsigned n_fds, n_turns;
};

enum { DIR_JOBS, DIR_STATE, DIR_RUN_JOBS, DIR_SPOOL };
static const char *const dir_names[] = {"state/jobs", "state", "run/jobs", "spool"};

static struct world world;

/* --- files ------------------------------------------------------------------------------------ */

static inline void put(int dir_fd, const char *name, const char *text, size_t len)
{
	int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, len), 0);
	fd_close(fd);
}

static inline void put_text(int dir_fd, const char *name, const char *text)
{
	put(dir_fd, name, text, strlen(text));
}

/* The file's text, "" if there is none. Freed by the caller. */
static inline char *get(int dir_fd, const char *name)
{
	struct buf text = BUF_INIT;
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		ck_assert_int_eq(fd_read_all(fd, 1 << 30, &text), 0);
		fd_close(fd);
	}
	char *taken = buf_take(&text);
	ck_assert_ptr_nonnull(taken);
	return taken;
}

static inline bool is_there(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static inline unsigned count_entries(int dir_fd, const char *name)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL) {
		n += !str_equal(entry->d_name, ".") && !str_equal(entry->d_name, "..");
	}
	closedir(dir);
	return n;
}

static inline unsigned count_parts(void)
{
	int fd = openat(world.data_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fdopendir(fd);
	const struct dirent *entry;
	unsigned n = 0;

	while ((entry = readdir(dir)) != NULL) {
		n += str_starts_with(entry->d_name, ".zp-");
	}
	closedir(dir);
	return n;
}

static inline unsigned count_fds(void)
{
	return count_entries(AT_FDCWD, "/proc/self/fd");
}

/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
static inline void put_csv(const char *name, unsigned n_rows, unsigned bad)
{
	struct buf text = BUF_INIT;

	buf_add_str(&text, "id,name,note\n");
	for (unsigned i = 1; i <= n_rows; i++) {
		buf_printf(&text, "%u,name-%u,\"text, \"\"quoted\"\" %u\"%s\n", i, i, i * 7,
			   bad > 0 && i % bad == 0 ? ",extra" : "");
	}
	put(world.data_fd, name, text.data, text.len);
	buf_deinit(&text);
}

static inline char *expected_rows(unsigned n_rows, unsigned bad)
{
	struct buf text = BUF_INIT;

	buf_add_str(&text, "");
	for (unsigned i = 1; i <= n_rows; i++) {
		if (bad == 0 || i % bad != 0) {
			buf_printf(&text,
				   "{\"id\":\"%u\",\"name\":\"name-%u\",\"note\":\"text, "
				   "\\\"quoted\\\" %u\"}\n",
				   i, i, i * 7);
		}
	}
	return buf_take(&text);
}

static inline void assert_file_is(const char *name, char *expected)
{
	char *found = get(world.data_fd, name);

	ck_assert_msg(strcmp(found, expected) == 0, "%s: %zu bytes, expected %zu", name,
		      strlen(found), strlen(expected));
	free(found);
	free(expected);
}

/* --- the world -------------------------------------------------------------------------------- */

static inline void make_dirs(void)
{
	static const char *const names[] = {"data",	    "state",	  "state/jobs",
					    "run",	    "run/jobs",	  "spool",
					    "spool/active", "spool/done", "spool/failed"};

	snprintf(world.top, sizeof(world.top), "/tmp/zp-test-sched-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(world.top));
	world.top_fd = open(world.top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(mkdirat(world.top_fd, names[i], 0750), 0);
	}
	for (size_t i = 0; i < ARRAY_SIZE(dir_names); i++) {
		world.dirs[i] = openat(world.top_fd, dir_names[i],
				       O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		ck_assert_int_ge(world.dirs[i], 0);
	}
	world.data_fd = openat(world.top_fd, "data", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(world.data_path, sizeof(world.data_path), "%s/data", world.top);
	world.root_paths[0] = world.data_path;
}

static inline void note_view(void)
{
	unsigned running, pending;
	double rate;

	scheduler_summary(world.scheduler, &running, &pending, &rate);
	world.max_running = MAX(world.max_running, running);
}

static inline bool on_view(void *userdata, const struct job_view *view)
{
	world.was_seen = true;
	world.seen = *view;
	world.seen_pipe = view->pipes[0];
	snprintf(world.seen_message, sizeof(world.seen_message), "%s", view->message);
	snprintf(world.seen_phase, sizeof(world.seen_phase), "%s", view->phase);
	memset(world.pids, 0, sizeof(world.pids));
	for (uint32_t i = 0; view->workers != NULL && i < view->n_workers; i++) {
		world.pids[i % ARRAY_SIZE(world.pids)] = view->workers[i].pid;
	}
	return true;
}

static inline void look(const char *id)
{
	world.was_seen = false;
	scheduler_with_job(world.scheduler, id, on_view, NULL);
}

static inline void on_tick(void *userdata, int64_t now_ns)
{
	note_view();
	if (world.on_tick != NULL) {
		world.on_tick(&world);
	}
	if (world.is_done(&world) || clock_monotonic_ns() > world.deadline_ns) {
		loop_exit(world.loop, world.is_done(&world) ? 0 : 1);
		return;
	}
	ck_assert_int_eq(loop_timer_arm(world.tick, clock_monotonic_ns() + 1000000), 0);
}

static inline void run_until(bool (*is_done)(struct world *world),
			     void (*tick)(struct world *world))
{
	world.is_done = is_done;
	world.on_tick = tick;
	world.deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
	ck_assert_int_eq(loop_timer_arm(world.tick, clock_monotonic_ns()), 0);
	ck_assert_msg(loop_run(world.loop) == 0, "it did not happen in time");
}

static inline bool all_ended(struct world *w)
{
	return scheduler_is_idle(w->scheduler);
}

/* Both of a job: a run may take a moment to start. */
static inline bool is_converting(struct world *w)
{
	look(w->id);
	return str_equal(w->seen_phase, "converting") && w->seen.n_workers_alive > 0;
}

static inline void start_daemon(void)
{
	ck_assert_int_eq(loop_new(&world.loop), 0);
	ck_assert_int_eq(storage_new(world.loop, world.program_fd, &world.storage), 0);
	ck_assert_int_eq(loop_add_timer(world.loop, on_tick, NULL, &world.tick), 0);
	world.options.program_fd = world.program_fd;
	world.options.root_fds = &world.data_fd;
	world.options.root_paths = world.root_paths;
	world.options.n_roots = 1;
	world.options.jobs_dir_fd = world.dirs[DIR_JOBS];
	world.options.state_dir_fd = world.dirs[DIR_STATE];
	world.options.run_jobs_dir_fd = world.dirs[DIR_RUN_JOBS];
	world.options.spool_dir_fd = world.dirs[DIR_SPOOL];
	world.options.storage = world.storage;
	ck_assert_int_eq(scheduler_new(world.loop, &world.options, &world.scheduler), 0);
	ck_assert_int_eq(scheduler_load(world.scheduler), 0);
}

static inline void on_stop(void *userdata)
{
	world.is_stopped = true;
}

static inline bool is_stopped(struct world *w)
{
	return w->is_stopped;
}

static inline void end_daemon(void)
{
	loop_source_free(world.tick);
	storage_free(world.storage);
	scheduler_free(world.scheduler);
	loop_free(world.loop);
}

static inline void stop_daemon(void)
{
	world.is_stopped = false;
	scheduler_stop(world.scheduler, on_stop, NULL);
	run_until(is_stopped, NULL);
	end_daemon();
}

static inline void setup(void)
{
	memset(&world, 0, sizeof(world));
	make_dirs();
	log_set_level(getenv("ZP_TEST_VERBOSE") != NULL ? LOG_LEVEL_DEBUG : LOG_LEVEL_ERROR);
	world.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	ck_assert_int_ge(world.program_fd, 0);
	world.options.max_jobs = 4;
	world.options.max_workers = 4;
	world.options.chunk_size_bytes = 4096;
	world.options.poll_interval_ns = 2 * CLOCK_NS_PER_MS;
	world.options.checkpoint_interval_ns = 5 * CLOCK_NS_PER_SEC;
	world.options.retention_ns = 3600 * CLOCK_NS_PER_SEC;
	start_daemon();
}

static inline void remove_world(void)
{
	char *const argv[] = {(char[]){"rm"}, (char[]){"-rf"}, world.top, NULL};

	pid_t pid = fork();
	if (pid == 0) {
		execvp("rm", argv);
		_exit(1);
	}
	ck_assert_int_gt(pid, 0);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED);
}

static inline void teardown(void)
{
	stop_daemon();
	for (size_t i = 0; i < ARRAY_SIZE(dir_names); i++) {
		fd_close(world.dirs[i]);
	}
	fd_close(world.data_fd);
	fd_close(world.top_fd);
	fd_close(world.program_fd);
	remove_world();
}

/* As the spool does it: state copy and receipt first. */
static inline void submit(const char *spec)
{
	char path[128];
	char *error = NULL;

	scheduler_next_id(world.scheduler, world.id);
	snprintf(path, sizeof(path), "%s", world.id);
	ck_assert_int_eq(mkdirat(world.dirs[DIR_JOBS], path, 0750), 0);
	snprintf(path, sizeof(path), "%s/spec.json", world.id);
	put_text(world.dirs[DIR_JOBS], path, spec);
	snprintf(path, sizeof(path), "active/%s.job.json", world.id);
	put_text(world.dirs[DIR_SPOOL], path, spec);
	struct scheduler_job job = {
		.id = world.id, .file_name = "job.json", .text = spec, .len = strlen(spec)};
	int r = scheduler_add(world.scheduler, &job, &error);
	ck_assert_msg(r == 0, "%s", error != NULL ? error : strerror(-r));
}

#define SPEC(more) "{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":" more "}"

static inline void assert_receipt(const char *area)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.job.json", area, world.id);
	ck_assert_msg(is_there(world.dirs[DIR_SPOOL], path), "%s is missing", path);
	snprintf(path, sizeof(path), "active/%s.job.json", world.id);
	ck_assert(!is_there(world.dirs[DIR_SPOOL], path));
}

static inline void assert_nothing_left(void)
{
	ck_assert_uint_eq(count_parts(), 0);
	ck_assert_uint_eq(count_entries(world.dirs[DIR_RUN_JOBS], "."), 0);
}

static inline void assert_ended(enum job_state state, enum job_reason reason)
{
	look(world.id);
	ck_assert(world.was_seen);
	ck_assert_msg(world.seen.state == state && world.seen.reason == reason, "%s: %s: %s",
		      job_state_name(world.seen.state), job_reason_name(world.seen.reason),
		      world.seen_message);
	assert_receipt(state == JOB_STATE_COMPLETED ? "done" : "failed");
	assert_nothing_left();
	char path[64];
	snprintf(path, sizeof(path), "%s/result.json", world.id);
	ck_assert(is_there(world.dirs[DIR_JOBS], path));
}

/* --- workers that play a part ----------------------------------------------------------------- */

#define PART_VARIABLE "ZOOPARALLEL_TEST_PART"

static inline int die(void)
{
	kill(getpid(), SIGKILL);
	return 1;
}

/* By its own fault, and without a core file. */
static inline int crash(void)
{
	setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	abort();
}

static inline struct chunk_record *claim_one(struct chunk_table *table, uint32_t slot)
{
	uint64_t chunk;

	while (chunk_table_claim(table, 0, slot, &chunk) == 0) {
	}
	return chunk_table_record(table, 0, chunk);
}

static inline int part_crash(struct chunk_table *table, uint32_t slot)
{
	return crash();
}

static inline int part_crash_in_chunk(struct chunk_table *table, uint32_t slot)
{
	claim_one(table, slot);
	return crash();
}

/* Every row that is not on the list yet: the first one begins at byte 13, behind the header. */
static inline int part_crash_on_rows(struct chunk_table *table, uint32_t slot)
{
	struct chunk_record *record = claim_one(table, slot);
	struct chunk_deaths deaths = chunk_deaths_get(record);

	chunk_deaths_touch(record, deaths.is_careful ? 13 + deaths.n_skips : CHUNK_NO_ROW);
	return crash();
}

static inline int part_hang(struct chunk_table *table, uint32_t slot)
{
	return pause();
}

static inline int part_hang_in_chunk(struct chunk_table *table, uint32_t slot)
{
	uint64_t chunk;

	while (chunk_table_claim(table, 0, slot, &chunk) == 0) {
	}
	return pause();
}

/* As one that waits for a chunk that nobody will ever accept. */
static inline int part_wait(struct chunk_table *table, uint32_t slot)
{
	const struct timespec wait = {.tv_nsec = 10 * CLOCK_NS_PER_MS};

	while (!chunk_table_is_stopped(table)) {
		chunk_table_beat(table, slot, false);
		nanosleep(&wait, NULL);
	}
	return WORKER_EXIT_OK;
}

static inline int part_leave(struct chunk_table *table, uint32_t slot)
{
	return WORKER_EXIT_OK;
}

static inline int part_report(struct chunk_table *table, uint32_t slot)
{
	chunk_table_fail(table, slot, JOB_REASON_NO_SPACE, "disk\nfull\xff");
	return WORKER_EXIT_REPORTED;
}

static inline int part_report_nonsense(struct chunk_table *table, uint32_t slot)
{
	chunk_table_fail(table, slot, 4711, "who knows");
	return WORKER_EXIT_REPORTED;
}

static inline int part_scribble(struct chunk_table *table, uint32_t slot)
{
	struct chunk_accept accept = {.start = 1, .end = 2, .rows = 1, .success = 1};
	uint64_t chunk;

	if (chunk_table_claim(table, 0, slot, &chunk) > 0) {
		struct chunk_record *record = chunk_table_record(table, 0, chunk);

		chunk_table_accept(record, &accept);
		chunk_table_written(record);
	}
	pause();
	return 0;
}

static const struct part {
	const char *name;
	int (*convert)(struct chunk_table *table, uint32_t slot);
	enum job_reason reason;
	const char *said; /* in the message */
} parts[] = {
	{"crash", part_crash, JOB_REASON_WORKER_CRASH, "signal 6 (Aborted), 3 times in a row"},
	{"crash-in-chunk", part_crash_in_chunk, JOB_REASON_WORKER_CRASH,
	 "in.csv: 6 workers died converting bytes 13 to"},
	{"crash-on-rows", part_crash_on_rows, JOB_REASON_WORKER_CRASH,
	 "in.csv: the row at byte 21 has killed 3 workers running, and 8 rows before that"},
	{"hang", part_hang, JOB_REASON_STALLED, "worker 0 gave no sign of life for limits.stall"},
	{"hang-in-chunk", part_hang_in_chunk, JOB_REASON_STALLED, "in.csv: 3 workers died"},
	{"wait", part_wait, JOB_REASON_STALLED, "none has come forward"},
	{"leave", part_leave, JOB_REASON_WORKER_CRASH, "before its work was done"},
	{"report", part_report, JOB_REASON_NO_SPACE, "disk?full?"},
	{"report-nonsense", part_report_nonsense, JOB_REASON_INTERNAL, "who knows"},
	{"scribble", part_scribble, JOB_REASON_INTERNAL, "does not start where"},
};

/* What the part leaves to the real worker, with the descriptors that are there. */
static inline int be_real(char **argv)
{
	char path[4096], program[4200];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

	path[MAX(len, 0)] = '\0';
	for (int i = 0; i < 3 && strrchr(path, '/') != NULL; i++) {
		*strrchr(path, '/') = '\0';
	}
	snprintf(program, sizeof(program), "%s/zooparallel-worker", path);
	execv(program, argv);
	return WORKER_EXIT_USAGE;
}

/* How often, before the real one may work; counted in a file of the only data root. */
enum { N_KILLS = 8, N_CRASHES = 5 };

static inline bool was_done(int root_fd, const char *name, off_t n_times)
{
	struct stat st = {0};
	CLEANUP(fd_closep)
	int fd = openat(root_fd, name, O_CREAT | O_APPEND | O_WRONLY | O_CLOEXEC, 0600);

	return fstat(fd, &st) < 0 || st.st_size >= n_times || fd_write_all(fd, "x", 1) < 0;
}

/* Holds the first chunk for three seconds before it lets the real one work. */
static inline int play_slow(struct chunk_table *table, uint32_t slot, char **argv)
{
	const struct timespec wait = {.tv_nsec = 10 * CLOCK_NS_PER_MS};
	uint64_t chunk;

	if (chunk_table_claim(table, 0, slot, &chunk) > 0) {
		for (int i = 0; i < 300; i++) {
			chunk_table_beat(table, slot, true);
			nanosleep(&wait, NULL);
		}
		chunk_table_give_back(table, 0, chunk);
	}
	return be_real(argv);
}

/*
 * Slot 0 holds chunk 0, and watches what slot 1 does with chunk 1, which is in careful mode: it may
 * guess a start, but has no true one yet, so no row of it may be touched. False: one was.
 */
static inline bool watch_careful_chunk(struct chunk_table *table, uint32_t slot)
{
	struct chunk_record *record = chunk_table_record(table, 0, 1);
	int64_t until_ns = INT64_MAX;

	if (slot > 0) {
		while (!chunk_deaths_get(record).is_careful) {
		}
		return true;
	}
	chunk_table_publish_scan(claim_one(table, slot), false, 1); /* all that a guess waits for */
	chunk_deaths_set(record, &(struct chunk_deaths){.is_careful = 1});
	while (clock_monotonic_ns() < until_ns) {
		if (atomic_load(&record->row_after) != 0) {
			chunk_table_fail(table, slot, JOB_REASON_INTERNAL, "a row was touched");
			return false;
		}
		if (until_ns == INT64_MAX && atomic_load(&record->is_waiting)) {
			until_ns = clock_monotonic_ns() + 200 * CLOCK_NS_PER_MS;
		}
	}
	chunk_table_give_back(table, 0, 0);
	return true;
}

static inline int play_convert(const char *name, char **argv)
{
	struct chunk_table table;
	uint64_t slot;

	if (num_parse_u64(argv[2], &slot) < 0 || chunk_table_map(CONVERT_FD_TABLE, &table) < 0) {
		return WORKER_EXIT_USAGE;
	}
	if (str_equal(name, "stay") && slot > 0) {
		return pause();
	}
	if (str_equal(name, "killed-often") && !was_done(CONVERT_FD_OUTPUTS + 2, name, N_KILLS)) {
		claim_one(&table, (uint32_t)slot);
		return die();
	}
	if (str_equal(name, "watch-careful") && !watch_careful_chunk(&table, (uint32_t)slot)) {
		return WORKER_EXIT_REPORTED;
	}
	if (str_equal(name, "crash-often") && !was_done(CONVERT_FD_OUTPUTS + 2, name, N_CRASHES)) {
		claim_one(&table, (uint32_t)slot);
		return crash();
	}
	/* The names begin with what they report, and end with how often. */
	if (str_starts_with(name, "full-") &&
	    !was_done(CONVERT_FD_OUTPUTS + 2, name, name[5] - '0')) {
		chunk_table_fail(&table, (uint32_t)slot, JOB_REASON_NO_SPACE, "the disk is full");
		return WORKER_EXIT_REPORTED;
	}
	if (str_starts_with(name, "changed-") && !was_done(CONVERT_FD_OUTPUTS + 2, name, 9)) {
		chunk_table_fail(&table, (uint32_t)slot, JOB_REASON_INPUT_CHANGED,
				 "it was changed");
		return WORKER_EXIT_REPORTED;
	}
	if (str_equal(name, "slow") && slot == 0) {
		return play_slow(&table, 0, argv);
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (str_equal(name, parts[i].name)) {
			return parts[i].convert(&table, (uint32_t)slot);
		}
	}
	return be_real(argv);
}

static inline int play_prepare(const char *name, char **argv)
{
	if (str_equal(name, "prepare-crashes")) {
		return crash();
	}
	if (str_equal(name, "prepare-hangs")) {
		return pause();
	}
	if (str_equal(name, "prepare-stops")) {
		return kill(getpid(), SIGSTOP);
	}
	if (str_equal(name, "prepare-babbles")) {
		return fd_write_all(PREPARE_FD_PLAN, "{\"version\":1", 12);
	}
	if (str_equal(name, "prepare-is-killed") && !was_done(PREPARE_FD_ROOTS, name, N_KILLS)) {
		return die();
	}
	return be_real(argv);
}

static inline int play(char **argv)
{
	const char *name = getenv(PART_VARIABLE);

	if (name != NULL && str_equal(argv[1], "convert")) {
		return play_convert(name, argv);
	}
	if (name != NULL && str_equal(argv[1], "prepare")) {
		return play_prepare(name, argv);
	}
	return be_real(argv);
}
