/* SPDX-License-Identifier: MIT */
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
#include <sys/stat.h>
#include <sys/wait.h>
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
	char id[24];	      /* the job that the test looks at */
	struct job_view seen; /* its plain values */
	char seen_message[1024];
	char seen_phase[32];
	bool was_seen;
	int32_t pids[64];
	unsigned n_kills;
	unsigned max_running;
	unsigned n_fds, n_turns;
};

enum { DIR_JOBS, DIR_STATE, DIR_RUN_JOBS, DIR_SPOOL };
static const char *const dir_names[] = {"state/jobs", "state", "run/jobs", "spool"};

static struct world world;

/* --- files ------------------------------------------------------------------------------------ */

static void put(int dir_fd, const char *name, const char *text, size_t len)
{
	int fd = openat(dir_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_write_all(fd, text, len), 0);
	fd_close(fd);
}

static void put_text(int dir_fd, const char *name, const char *text)
{
	put(dir_fd, name, text, strlen(text));
}

/* The file's text, "" if there is none. Freed by the caller. */
static char *get(int dir_fd, const char *name)
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

static bool is_there(int dir_fd, const char *name)
{
	struct stat st;

	return fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static unsigned count_entries(int dir_fd, const char *name)
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

static unsigned count_parts(void)
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

static unsigned count_fds(void)
{
	return count_entries(AT_FDCWD, "/proc/self/fd");
}

/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
/* n rows `i,name-i,"text, quoted"`; every `bad`th (0: none) has a field too many. */
static void put_csv(const char *name, unsigned n_rows, unsigned bad)
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

static char *expected_rows(unsigned n_rows, unsigned bad)
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

static void assert_file_is(const char *name, char *expected)
{
	char *found = get(world.data_fd, name);

	ck_assert_msg(strcmp(found, expected) == 0, "%s: %zu bytes, expected %zu", name,
		      strlen(found), strlen(expected));
	free(found);
	free(expected);
}

/* --- the world -------------------------------------------------------------------------------- */

static void make_dirs(void)
{
	static const char *const names[] = {"data",	    "state",	  "state/jobs",
					    "run",	    "run/jobs",	  "spool",
					    "spool/active", "spool/done", "spool/failed"};

	strcpy(world.top, "/tmp/zp-test-sched-XXXXXX");
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

static void note_view(void)
{
	unsigned running, pending;
	double rate;

	scheduler_summary(world.scheduler, &running, &pending, &rate);
	world.max_running = MAX(world.max_running, running);
}

static bool on_view(void *userdata, const struct job_view *view)
{
	world.was_seen = true;
	world.seen = *view;
	snprintf(world.seen_message, sizeof(world.seen_message), "%s", view->message);
	snprintf(world.seen_phase, sizeof(world.seen_phase), "%s", view->phase);
	memset(world.pids, 0, sizeof(world.pids));
	for (uint32_t i = 0; view->workers != NULL && i < view->n_workers; i++) {
		world.pids[i % ARRAY_SIZE(world.pids)] = view->workers[i].pid;
	}
	return true;
}

static void look(const char *id)
{
	world.was_seen = false;
	scheduler_with_job(world.scheduler, id, on_view, NULL);
}

static void on_tick(void *userdata, int64_t now_ns)
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

static void run_until(bool (*is_done)(struct world *world), void (*tick)(struct world *world))
{
	world.is_done = is_done;
	world.on_tick = tick;
	world.deadline_ns = clock_monotonic_ns() + PATIENCE_NS;
	ck_assert_int_eq(loop_timer_arm(world.tick, clock_monotonic_ns()), 0);
	ck_assert_msg(loop_run(world.loop) == 0, "it did not happen in time");
}

static bool all_ended(struct world *w)
{
	return scheduler_is_idle(w->scheduler);
}

/* Both of a job: a run may take a moment to start. */
static bool is_converting(struct world *w)
{
	look(w->id);
	return str_equal(w->seen_phase, "converting") && w->seen.n_workers_alive > 0;
}

static void start_daemon(void)
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

static void on_stop(void *userdata)
{
	world.is_stopped = true;
}

static bool is_stopped(struct world *w)
{
	return w->is_stopped;
}

static void end_daemon(void)
{
	loop_source_free(world.tick);
	storage_free(world.storage);
	scheduler_free(world.scheduler);
	loop_free(world.loop);
}

static void stop_daemon(void)
{
	world.is_stopped = false;
	scheduler_stop(world.scheduler, on_stop, NULL);
	run_until(is_stopped, NULL);
	end_daemon();
}

static void setup(void)
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
	world.options.retention_ns = 3600 * CLOCK_NS_PER_SEC;
	start_daemon();
}

static void remove_world(void)
{
	char command[128];
	char *const argv[] = {(char[]){"rm"}, (char[]){"-rf"}, world.top, NULL};

	snprintf(command, sizeof(command), "%s", world.top);
	pid_t pid = fork();
	if (pid == 0) {
		execvp("rm", argv);
		_exit(1);
	}
	ck_assert_int_gt(pid, 0);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED);
}

static void teardown(void)
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
static void submit(const char *spec)
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

static void assert_receipt(const char *area)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/%s.job.json", area, world.id);
	ck_assert_msg(is_there(world.dirs[DIR_SPOOL], path), "%s is missing", path);
	snprintf(path, sizeof(path), "active/%s.job.json", world.id);
	ck_assert(!is_there(world.dirs[DIR_SPOOL], path));
}

static void assert_nothing_left(void)
{
	ck_assert_uint_eq(count_parts(), 0);
	ck_assert_uint_eq(count_entries(world.dirs[DIR_RUN_JOBS], "."), 0);
}

static void assert_ended(enum job_state state, enum job_reason reason)
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

/* --- tests ------------------------------------------------------------------------------------ */

START_TEST(a_job_writes_all_rows_in_order)
{
	put_csv("in.csv", 20000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(20000, 0));
	ck_assert_int_eq(world.seen.total_processed, 20000);
	ck_assert_int_eq(world.seen.accepted_success, 20000);
	ck_assert_double_eq(world.seen.progress, 1.0);
}
END_TEST

START_TEST(rejects_stay_in_the_state_without_an_errors_path)
{
	put_csv("in.csv", 3000, 10);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(3000, 10));
	ck_assert_int_eq(world.seen.error_count, 300);
	ck_assert_int_eq(world.seen.rejects[REJECT_RAGGED], 300);
	struct buf text = BUF_INIT;
	int fd = scheduler_open_rejects(world.scheduler, world.id);
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(fd_read_all(fd, 1 << 24, &text), 0);
	fd_close(fd);
	unsigned n_lines = 0;
	for (size_t i = 0; i < text.len; i++) {
		n_lines += text.data[i] == '\n';
	}
	ck_assert_uint_eq(n_lines, 300);
	buf_deinit(&text);
}
END_TEST

START_TEST(too_many_rejects_publish_the_error_file_alone)
{
	put_csv("in.csv", 3000, 10);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":\"out.jsonl\"},"
	       "\"errors\":{\"path\":\"err.jsonl\",\"max_rows\":20}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_REJECTS_EXCEEDED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
	ck_assert_int_eq(world.seen.error_count, 21);
	char *errors = get(world.data_fd, "err.jsonl");
	unsigned n_lines = 0;
	for (const char *at = errors; *at != '\0'; at++) {
		n_lines += *at == '\n';
	}
	free(errors);
	ck_assert_uint_eq(n_lines, 21);
}
END_TEST

START_TEST(a_wrong_delimiter_that_rejects_every_row_fails)
{
	put_text(world.data_fd, "in.csv", "a;b\n1,2;3;4\n5;6;7\n");
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\",\"delimiter\":\";\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_REJECTS_EXCEEDED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

START_TEST(an_empty_input_gives_an_empty_output)
{
	put_text(world.data_fd, "in.csv", "");
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", strdup(""));
	ck_assert(is_there(world.data_fd, "out.jsonl"));
}
END_TEST

static const struct {
	const char *spec;
	enum job_reason reason;
} bad_specs[] = {
	{"{\"version\":1,\"input\":{\"path\":\"no.csv\"},\"output\":{\"path\":\"o\"}}",
	 JOB_REASON_INPUT_MISSING},
	{SPEC("\"/etc/o\"}"), JOB_REASON_PATH_DENIED},
	{SPEC("\"link/o\"}"), JOB_REASON_PATH_DENIED},
	{SPEC("\"link\"}"), JOB_REASON_PATH_DENIED},
	{SPEC("\"none/o\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"dir\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"fifo\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"in.csv\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
	{SPEC("\"old.jsonl\",\"if_exists\":\"fail\"}"), JOB_REASON_OUTPUT_EXISTS},
	{SPEC("\"o\"},\"errors\":{\"path\":\"in.csv\"}"), JOB_REASON_OUTPUT_UNWRITABLE},
};

START_TEST(a_job_that_cannot_work_is_refused_and_changes_nothing)
{
	put_csv("in.csv", 10, 0);
	put_text(world.data_fd, "old.jsonl", "old");
	ck_assert_int_eq(symlinkat("dir", world.data_fd, "link"), 0);
	ck_assert_int_eq(mkdirat(world.data_fd, "dir", 0750), 0);
	ck_assert_int_eq(mkfifoat(world.data_fd, "fifo", 0640), 0);
	unsigned n_before = count_entries(world.data_fd, ".");
	submit(bad_specs[_i].spec);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, bad_specs[_i].reason);
	ck_assert_uint_eq(count_entries(world.data_fd, "."), n_before);
	ck_assert_str_ne(world.seen_message, "");
	assert_file_is("old.jsonl", strdup("old"));
}
END_TEST

START_TEST(a_target_of_a_live_job_is_refused_by_name)
{
	char first[24], second[24];

	world.options.max_jobs = 1;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 20000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	memcpy(first, world.id, sizeof(first));
	submit(SPEC("\"./out.jsonl\"}"));
	memcpy(second, world.id, sizeof(second));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_OUTPUT_UNWRITABLE);
	ck_assert_ptr_nonnull(strstr(world.seen_message, first));
	memcpy(world.id, first, sizeof(first));
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
}
END_TEST

static void kill_one(struct world *w)
{
	look(w->id);
	int32_t pid = w->pids[w->n_kills % 4];
	if (pid > 0 && w->n_kills < 40 && w->seen.total_processed > w->n_kills * 400) {
		kill(pid, SIGKILL);
		w->n_kills++;
	}
}

START_TEST(killed_workers_cost_no_row)
{
	world.options.chunk_size_bytes = 512;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 60000, 0);
	submit("{\"version\":1,\"workers\":4,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, kill_one);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	ck_assert_uint_gt(world.n_kills, 5);
	ck_assert_uint_ge(world.seen.n_worker_restarts + 4, world.n_kills);
	assert_file_is("out.jsonl", expected_rows(60000, 0));
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	ck_assert_uint_eq(totals->n_names, 1);
	ck_assert_str_eq(totals->names[0].name, "job");
	ck_assert_int_eq(totals->names[0].rows_success, 60000);
	ck_assert_int_eq(totals->names[0].jobs_completed, 1);
	ck_assert_int_gt(totals->worker_exits_signal, 0);
}
END_TEST

START_TEST(a_running_job_can_be_cancelled)
{
	world.options.chunk_size_bytes = 256;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 300000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(is_converting, NULL);
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), -EBUSY);
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), -EALREADY);
	ck_assert_int_eq(scheduler_cancel(world.scheduler, "none"), -ENOENT);
}
END_TEST

START_TEST(a_waiting_job_can_be_cancelled)
{
	world.options.max_jobs = 0;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 10, 0);
	submit(SPEC("\"out.jsonl\"}"));
	ck_assert_int_eq(scheduler_cancel(world.scheduler, world.id), 0);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_ABORTED, JOB_REASON_CANCELLED);
}
END_TEST

static bool is_gone(struct world *w)
{
	return !is_there(w->dirs[DIR_JOBS], w->id);
}

START_TEST(a_forgotten_job_is_gone_but_stays_counted)
{
	put_csv("in.csv", 100, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), 0);
	look(world.id);
	ck_assert(!world.was_seen);
	ck_assert_int_eq(scheduler_forget(world.scheduler, world.id), -ENOENT);
	run_until(is_gone, NULL);
	stop_daemon();
	start_daemon();
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	ck_assert_uint_eq(totals->n_names, 1);
	ck_assert_int_eq(totals->names[0].rows_success, 100);
	char id[24];
	scheduler_next_id(world.scheduler, id);
	ck_assert_int_gt(strcmp(id, world.id), 0);
}
END_TEST

START_TEST(a_stopped_job_runs_again_at_the_next_start)
{
	world.options.chunk_size_bytes = 256;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 60000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(is_converting, NULL);
	stop_daemon();
	assert_nothing_left();
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
	world.options.chunk_size_bytes = 65536;
	start_daemon();
	look(world.id);
	ck_assert(world.was_seen);
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(60000, 0));
}
END_TEST

START_TEST(what_a_killed_daemon_left_is_swept)
{
	char name[128];

	put_csv("in.csv", 1000, 0);
	world.options.max_jobs = 0;
	scheduler_reconfigure(world.scheduler, &world.options);
	submit(SPEC("\"out.jsonl\"}"));
	stop_daemon();
	snprintf(name, sizeof(name), ".zp-%s-0.part", world.id);
	put_text(world.data_fd, name, "half");
	ck_assert_int_eq(mkdirat(world.dirs[DIR_RUN_JOBS], world.id, 0750), 0);
	snprintf(name, sizeof(name), "%s/chunks", world.id);
	put_text(world.dirs[DIR_RUN_JOBS], name, "old");
	world.options.max_jobs = 1;
	start_daemon();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(1000, 0));
}
END_TEST

static bool is_committing(struct world *w)
{
	look(w->id);
	return str_equal(w->seen_phase, "committing") || w->seen.state == JOB_STATE_COMPLETED;
}

static bool has_turned(struct world *w)
{
	return w->n_turns == 0 || w->n_turns-- == 0;
}

/* As many turns of the loop into the commit as the loop test's number says. */
START_TEST(a_job_cut_off_while_committing_is_finished_or_runs_again)
{
	put_csv("in.csv", 5000, 10);
	submit("{\"version\":1,\"input\":{\"path\":\"in.csv\"},\"output\":{\"path\":"
	       "\"out.jsonl\",\"if_exists\":\"fail\"},\"errors\":{\"path\":\"err.jsonl\"}}");
	run_until(is_committing, NULL);
	world.n_turns = (unsigned)_i;
	run_until(has_turned, NULL);
	/* The daemon's death: nobody is told, only its processes end. */
	end_daemon();
	start_daemon();
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(5000, 10));
	ck_assert_int_eq(world.seen.error_count, 500);
	const struct totals_view *totals = scheduler_totals(world.scheduler);
	ck_assert_uint_eq(totals->n_names, 1);
	ck_assert_int_eq(totals->names[0].rows_success, 4500);
	ck_assert_int_eq(totals->names[0].jobs_completed, 1);
}
END_TEST

START_TEST(no_more_jobs_run_than_may)
{
	char spec[256];

	world.options.max_jobs = 2;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 3000, 0);
	for (int i = 0; i < 8; i++) {
		snprintf(spec, sizeof(spec), SPEC("\"out-%d.jsonl\"}"), i);
		submit(spec);
	}
	run_until(all_ended, NULL);
	ck_assert_uint_le(world.max_running, 2);
	ck_assert_uint_ge(world.max_running, 1);
	assert_nothing_left();
}
END_TEST

static void change_input(struct world *w)
{
	look(w->id);
	if (w->seen.total_processed > 0 && w->n_kills++ == 0) {
		put_text(w->data_fd, "new.csv", "id,name,note\n1,2,3\n");
		ck_assert_int_eq(renameat(w->data_fd, "new.csv", w->data_fd, "in.csv"), 0);
	}
}

START_TEST(an_input_that_is_replaced_fails_the_job)
{
	world.options.chunk_size_bytes = 256;
	scheduler_reconfigure(world.scheduler, &world.options);
	put_csv("in.csv", 60000, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, change_input);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_INPUT_CHANGED);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

static bool has_no_more_fds(struct world *w)
{
	return count_fds() <= w->n_fds;
}

/* A process costs a tenth of a second under the sanitizers. */
#ifdef __SANITIZE_ADDRESS__
#define N_MANY_JOBS 30
#else
#define N_MANY_JOBS 200
#endif

START_TEST(many_jobs_leave_no_descriptor_behind)
{
	put_csv("in.csv", 50, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	unsigned n_before = count_fds();
	for (int i = 0; i < N_MANY_JOBS; i++) {
		submit(i % 4 == 3 ? SPEC("\"none/out.jsonl\"}") : SPEC("\"out.jsonl\"}"));
		run_until(all_ended, NULL);
	}
	world.n_fds = n_before;
	run_until(has_no_more_fds, NULL); /* the last storage process is reaped by and by */
	assert_nothing_left();
}
END_TEST

/* --- workers that play a part ----------------------------------------------------------------- */

#define PART_VARIABLE "ZOOPARALLEL_TEST_PART"

static int die(void)
{
	kill(getpid(), SIGKILL);
	return 1;
}

static int part_die(struct chunk_table *table, uint32_t slot)
{
	return die();
}

static int part_die_in_chunk(struct chunk_table *table, uint32_t slot)
{
	uint64_t chunk;

	while (chunk_table_claim(table, 0, slot, &chunk) == 0) {
	}
	return die();
}

static int part_leave(struct chunk_table *table, uint32_t slot)
{
	return WORKER_EXIT_OK;
}

static int part_report(struct chunk_table *table, uint32_t slot)
{
	chunk_table_fail(table, slot, JOB_REASON_NO_SPACE, "disk\nfull\xff");
	return WORKER_EXIT_REPORTED;
}

static int part_report_nonsense(struct chunk_table *table, uint32_t slot)
{
	chunk_table_fail(table, slot, 4711, "who knows");
	return WORKER_EXIT_REPORTED;
}

static int part_scribble(struct chunk_table *table, uint32_t slot)
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
	{"die", part_die, JOB_REASON_WORKER_CRASH, "signal 9"},
	{"die-in-chunk", part_die_in_chunk, JOB_REASON_WORKER_CRASH, "in.csv: 3 workers died"},
	{"leave", part_leave, JOB_REASON_WORKER_CRASH, "before its work was done"},
	{"report", part_report, JOB_REASON_NO_SPACE, "disk?full?"},
	{"report-nonsense", part_report_nonsense, JOB_REASON_INTERNAL, "who knows"},
	{"scribble", part_scribble, JOB_REASON_INTERNAL, "does not start where"},
};

/* What the part leaves to the real worker, with the descriptors that are there. */
static int be_real(char **argv)
{
	char path[4096];
	ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 64);

	path[MAX(len, 0)] = '\0';
	for (int i = 0; i < 3 && strrchr(path, '/') != NULL; i++) {
		*strrchr(path, '/') = '\0';
	}
	strncat(path, "/zooparallel-worker", 32);
	execv(path, argv);
	return WORKER_EXIT_USAGE;
}

static int play_convert(const char *name, char **argv)
{
	struct chunk_table table;
	uint64_t slot;

	if (num_parse_u64(argv[2], &slot) < 0 || chunk_table_map(CONVERT_FD_TABLE, &table) < 0) {
		return WORKER_EXIT_USAGE;
	}
	if (str_equal(name, "stay") && slot > 0) {
		return pause();
	}
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		if (str_equal(name, parts[i].name)) {
			return parts[i].convert(&table, (uint32_t)slot);
		}
	}
	return be_real(argv);
}

static int play_prepare(const char *name, char **argv)
{
	if (str_equal(name, "prepare-dies")) {
		return die();
	}
	if (str_equal(name, "prepare-babbles")) {
		return fd_write_all(PREPARE_FD_PLAN, "{\"version\":1", 12);
	}
	if (str_equal(name, "prepare-dies-once") && faccessat(PREPARE_FD_ROOTS, "died", F_OK, 0)) {
		fd_close(openat(PREPARE_FD_ROOTS, "died", O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
		return die();
	}
	return be_real(argv);
}

static int play(char **argv)
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

START_TEST(workers_that_do_not_work_fail_the_job_by_name)
{
	const struct part *part = &parts[_i];

	setenv(PART_VARIABLE, part->name, 1);
	put_csv("in.csv", 1000, 0);
	submit("{\"version\":1,\"workers\":1,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, part->reason);
	ck_assert_msg(strstr(world.seen_message, part->said) != NULL, "%s", world.seen_message);
	ck_assert(!is_there(world.data_fd, "out.jsonl"));
}
END_TEST

START_TEST(a_worker_that_stays_when_all_is_done_is_removed)
{
	setenv(PART_VARIABLE, "stay", 1);
	put_csv("in.csv", 1000, 0);
	submit("{\"version\":1,\"workers\":3,\"input\":{\"path\":\"in.csv\"},"
	       "\"output\":{\"path\":\"out.jsonl\"}}");
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	assert_file_is("out.jsonl", expected_rows(1000, 0));
}
END_TEST

static const char *const bad_prepares[] = {"prepare-dies", "prepare-babbles"};

START_TEST(a_prepare_that_dies_three_times_fails_the_job)
{
	setenv(PART_VARIABLE, bad_prepares[_i], 1);
	put_csv("in.csv", 10, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_FAILED, JOB_REASON_WORKER_CRASH);
}
END_TEST

START_TEST(a_prepare_that_dies_once_is_started_again)
{
	setenv(PART_VARIABLE, "prepare-dies-once", 1);
	put_csv("in.csv", 10, 0);
	submit(SPEC("\"out.jsonl\"}"));
	run_until(all_ended, NULL);
	assert_ended(JOB_STATE_COMPLETED, JOB_REASON_OK);
	ck_assert_uint_eq(world.seen.n_worker_restarts, 1);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return play(argv);
	}
	Suite *suite = suite_create("scheduler");
	TCase *tcase = tcase_create("scheduler");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_set_timeout(tcase, 90);
	tcase_add_test(tcase, a_job_writes_all_rows_in_order);
	tcase_add_test(tcase, rejects_stay_in_the_state_without_an_errors_path);
	tcase_add_test(tcase, too_many_rejects_publish_the_error_file_alone);
	tcase_add_test(tcase, a_wrong_delimiter_that_rejects_every_row_fails);
	tcase_add_test(tcase, an_empty_input_gives_an_empty_output);
	tcase_add_loop_test(tcase, a_job_that_cannot_work_is_refused_and_changes_nothing, 0,
			    ARRAY_SIZE(bad_specs));
	tcase_add_test(tcase, a_target_of_a_live_job_is_refused_by_name);
	tcase_add_test(tcase, killed_workers_cost_no_row);
	tcase_add_test(tcase, a_running_job_can_be_cancelled);
	tcase_add_test(tcase, a_waiting_job_can_be_cancelled);
	tcase_add_test(tcase, a_forgotten_job_is_gone_but_stays_counted);
	tcase_add_test(tcase, a_stopped_job_runs_again_at_the_next_start);
	tcase_add_test(tcase, what_a_killed_daemon_left_is_swept);
	tcase_add_loop_test(tcase, a_job_cut_off_while_committing_is_finished_or_runs_again, 0, 20);
	tcase_add_test(tcase, no_more_jobs_run_than_may);
	tcase_add_test(tcase, an_input_that_is_replaced_fails_the_job);
	tcase_add_loop_test(tcase, workers_that_do_not_work_fail_the_job_by_name, 0,
			    ARRAY_SIZE(parts));
	tcase_add_test(tcase, a_worker_that_stays_when_all_is_done_is_removed);
	tcase_add_loop_test(tcase, a_prepare_that_dies_three_times_fails_the_job, 0,
			    ARRAY_SIZE(bad_prepares));
	tcase_add_test(tcase, a_prepare_that_dies_once_is_started_again);
	suite_add_tcase(suite, tcase);
	TCase *many = tcase_create("many");
	tcase_add_checked_fixture(many, setup, teardown);
	tcase_set_timeout(many, 90);
	tcase_add_test(many, many_jobs_leave_no_descriptor_behind);
	suite_add_tcase(suite, many);
	SRunner *runner = srunner_create(suite);
	srunner_run_all(runner, CK_NORMAL);
	int n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? 0 : 1;
}
