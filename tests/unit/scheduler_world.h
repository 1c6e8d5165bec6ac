/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The scheduler with real workers in a temporary tree: what a job leaves on disk and what is shown
 * of it, whatever happens on the way. The workers are first this very program (scheduler_parts.h).
 */
#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
#include "tests/support/unit.h"
#include "tests/unit/scheduler_parts.h"

#define PATIENCE_NS (60 * CLOCK_NS_PER_SEC)

struct world {
	char top[64];
	int top_fd, data_fd, program_fd;
	struct storage_reach reach;
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
	unsigned n_running = scheduler_summary(world.scheduler).n_running;

	world.max_running = MAX(world.max_running, n_running);
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
	world.reach = (struct storage_reach){.fds = &world.top_fd, .n_fds = 1};
	ck_assert_int_eq(storage_new(world.loop, world.program_fd, &world.reach, &world.storage),
			 0);
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
