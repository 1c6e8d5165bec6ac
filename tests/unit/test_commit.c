/* SPDX-License-Identifier: MIT */
/*
 * The commit with real files and the real storage process: what is published, what a failure at
 * each step leaves, and that a restart after each step finds its way.
 */
#include "tests/support/storage_faults.h"

#include <sys/mount.h>

#include "common/util/clock.h"
#include "daemon/sched/commit.h"

#define ID	"20261122T101502123Z"
#define RECEIPT ID ".x.json"

enum { ERRORS, ROWS, N_OUTPUTS };

static const char *const targets[] = {"errors.jsonl", "rows.jsonl"};
static const char *const temporaries[] = {".zp-" ID "-1.part", ".zp-" ID "-0.part"};
static const char *const texts[] = {"e1\ne2\n", "r1\nr2\n"};

static struct job_result_pipe pipe_result;
static struct job_result result;
static int data_fd, job_fd, active_fd, done_fd;
static struct commit_output outputs[N_OUTPUTS];
static struct commit_options options;
static struct commit *commit;

static struct outcome {
	int n, status;
	enum job_reason reason;
	char message[512];
} outcome;

/* The outputs as a run hands them over: with more in the files than was accepted. */
static void open_outputs(void)
{
	for (int i = 0; i < N_OUTPUTS; i++) {
		make_file(data_fd, temporaries[i], texts[i]);
		int fd = openat(data_fd, temporaries[i], O_RDWR | O_CLOEXEC);
		ck_assert_int_ge(fd, 0);
		ck_assert_int_eq(fd_pwrite_all(fd, "junk", 4, (off_t)strlen(texts[i])), 0);
		outputs[i] = (struct commit_output){
			.fd = fd,
			.dir_fd = data_fd,
			.temporary_name = strdup(temporaries[i]),
			.target_name = strdup(targets[i]),
			.temporary_path = strdup(temporaries[i]),
			.target_path = strdup(targets[i]),
			.size_bytes = strlen(texts[i]),
			.is_errors = i == ERRORS,
			.is_published = true,
			.head_name = i == ERRORS ? "errors.jsonl" : NULL,
		};
	}
}

static void close_outputs(void)
{
	for (int i = 0; i < N_OUTPUTS; i++) {
		fd_close(outputs[i].fd);
		free(outputs[i].temporary_name);
		free(outputs[i].target_name);
		free(outputs[i].temporary_path);
		free(outputs[i].target_path);
	}
}

static void setup(void)
{
	static char id[] = ID, name[] = "x", receipt[] = RECEIPT;
	fixture_setup();
	data_fd = make_dir(fixture.dir_fd, "data");
	job_fd = make_dir(fixture.dir_fd, "job");
	active_fd = make_dir(fixture.dir_fd, "active");
	done_fd = make_dir(fixture.dir_fd, "done");
	make_file(active_fd, RECEIPT, "{}");
	pipe_result = (struct job_result_pipe){.success_count = 2};
	result = (struct job_result){.id = id,
				     .name = name,
				     .receipt = receipt,
				     .state = JOB_STATE_COMPLETED,
				     .finish_sequence = 1,
				     .total_processed = 4,
				     .n_pipes = 1,
				     .pipes = &pipe_result};
	open_outputs();
	outcome = (struct outcome){0};
	commit = NULL;
	options = (struct commit_options){.loop = fixture.loop,
					  .storage = fixture.storage,
					  .job_dir_fd = job_fd,
					  .active_dir_fd = active_fd,
					  .receipt_dir_fd = done_fd,
					  .receipt = RECEIPT,
					  .result = &result,
					  .outputs = outputs,
					  .n_outputs = N_OUTPUTS};
}

static void teardown(void)
{
	close_outputs();
	fd_close(data_fd);
	fd_close(job_fd);
	fd_close(active_fd);
	fd_close(done_fd);
	fixture_teardown();
}

static void on_done(void *userdata, int status, enum job_reason reason, const char *message)
{
	outcome.n++;
	outcome.status = status;
	outcome.reason = reason;
	snprintf(outcome.message, sizeof(outcome.message), "%s", message);
	commit = commit_free(commit);
	loop_exit(fixture.loop, 0);
}

static void run_commit(void)
{
	ck_assert_int_eq(commit_start(&options, on_done, NULL, &commit), 0);
	ck_assert_int_eq(outcome.n, 0);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	ck_assert_int_eq(outcome.n, 1);
}

static void assert_committed(void)
{
	ck_assert_msg(outcome.status == 0 && outcome.reason == JOB_REASON_OK, "%s",
		      outcome.message);
	assert_file(data_fd, targets[ROWS], texts[ROWS]);
	assert_file(data_fd, targets[ERRORS], texts[ERRORS]);
	ck_assert_int_eq(count_entries(data_fd), 2);
	assert_file(done_fd, RECEIPT, "{}");
	ck_assert_int_eq(count_entries(active_fd), 0);
}

/* Nothing of the temporary files, nothing that a start would take up. */
static void assert_failed(enum job_reason reason)
{
	ck_assert_int_lt(outcome.status, 0);
	ck_assert_msg(outcome.reason == reason, "%s: %s", job_reason_name(outcome.reason),
		      outcome.message);
	ck_assert(!file_exists(data_fd, temporaries[ROWS]));
	ck_assert(!file_exists(data_fd, temporaries[ERRORS]));
	ck_assert(!file_exists(job_fd, "commit.json"));
	ck_assert(!file_exists(job_fd, "result.json"));
	ck_assert(file_exists(active_fd, RECEIPT));
}

static struct job_result *read_result(void)
{
	struct job_result *read = NULL;
	char *text = file_text(job_fd, "result.json");
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(job_result_parse(text, strlen(text), &read), 0);
	free(text);
	return read;
}

static struct commit_record *read_record(int dir_fd)
{
	struct commit_record *record = NULL;
	char *text = file_text(dir_fd, "commit.json");
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(commit_record_parse(text, strlen(text), &record), 0);
	free(text);
	return record;
}

START_TEST(a_commit_publishes_what_was_accepted_and_no_more)
{
	make_file(data_fd, targets[ROWS], "old");
	run_commit();
	assert_committed();
	struct job_result *read = read_result();
	ck_assert_str_eq(read->id, ID);
	ck_assert_int_eq(read->total_processed, 4);
	ck_assert(read->commit_seconds > 0 && read->commit_seconds < 60);
	job_result_free(read);
	assert_file(job_fd, "errors.jsonl", texts[ERRORS]);
}
END_TEST

START_TEST(the_rows_of_a_job_that_failed_are_not_published)
{
	outputs[ROWS].is_published = false;
	result.state = JOB_STATE_FAILED;
	result.reason = JOB_REASON_REJECTS_EXCEEDED;
	make_file(data_fd, targets[ROWS], "old");
	run_commit();
	ck_assert_int_eq(outcome.status, 0);
	assert_file(data_fd, targets[ROWS], "old");
	assert_file(data_fd, targets[ERRORS], texts[ERRORS]);
	ck_assert_int_eq(count_entries(data_fd), 2);
	struct commit_record *record = read_record(job_fd);
	ck_assert_uint_eq(record->n_files, 1);
	commit_record_free(record);
	struct job_result *read = read_result();
	ck_assert_int_eq(read->reason, JOB_REASON_REJECTS_EXCEEDED);
	job_result_free(read);
}
END_TEST

START_TEST(a_job_without_outputs_still_gets_result_and_receipt)
{
	options.n_outputs = 0;
	run_commit();
	ck_assert_int_eq(outcome.status, 0);
	job_result_free(read_result());
	assert_file(done_fd, RECEIPT, "{}");
	ck_assert(!file_exists(job_fd, "commit.json"));
}
END_TEST

START_TEST(an_output_that_must_be_new_replaces_nothing)
{
	outputs[ROWS].is_noreplace = true;
	make_file(data_fd, targets[ROWS], "someone else's");
	run_commit();
	assert_failed(JOB_REASON_OUTPUT_EXISTS);
	assert_file(data_fd, targets[ROWS], "someone else's");
	ck_assert_ptr_nonnull(strstr(outcome.message, targets[ROWS]));
}
END_TEST

START_TEST(a_directory_in_the_targets_place_is_named)
{
	fd_close(make_dir(data_fd, targets[ERRORS]));
	run_commit();
	assert_failed(JOB_REASON_OUTPUT_UNWRITABLE);
	ck_assert(!file_exists(data_fd, targets[ROWS]));
	ck_assert_ptr_nonnull(strstr(outcome.message, targets[ERRORS]));
}
END_TEST

START_TEST(a_temporary_file_that_was_taken_away_is_no_success)
{
	ck_assert_int_eq(unlinkat(data_fd, temporaries[ROWS], 0), 0);
	make_file(data_fd, targets[ROWS], "old");
	run_commit();
	assert_failed(JOB_REASON_OUTPUT_UNWRITABLE);
	assert_file(data_fd, targets[ROWS], "old");
}
END_TEST

START_TEST(a_file_that_cannot_be_finished_publishes_nothing)
{
	fd_close(outputs[ROWS].fd);
	outputs[ROWS].fd = openat(data_fd, temporaries[ROWS], O_RDONLY | O_CLOEXEC);
	run_commit();
	assert_failed(JOB_REASON_IO_ERROR);
	ck_assert_int_eq(count_entries(data_fd), 0);
}
END_TEST

/* The job's directory on a disk that has room for one file. */
static bool mount_small_state(const char *fill_name)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/full", fixture.tree.path);
	fd_close(make_dir(fixture.dir_fd, "full"));
	if (mount("tmpfs", path, "tmpfs", 0, "size=4k") < 0) {
		return false; /* needs root */
	}
	options.job_dir_fd = make_dir(fixture.dir_fd, "full");
	if (fill_name) {
		make_file(options.job_dir_fd, fill_name, "x");
	}
	return true;
}

static void unmount_small_state(void)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/full", fixture.tree.path);
	fd_close(options.job_dir_fd);
	options.storage = fixture.storage = storage_free(fixture.storage);
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
}

START_TEST(a_full_state_directory_publishes_nothing)
{
	if (!mount_small_state("fill")) {
		return;
	}
	run_commit();
	assert_failed(JOB_REASON_NO_SPACE);
	ck_assert_int_eq(count_entries(data_fd), 0);
	unmount_small_state();
}
END_TEST

START_TEST(a_result_that_finds_no_room_does_not_fail_what_is_published)
{
	/* The one page is for commit.json. */
	if (!mount_small_state(NULL)) {
		return;
	}
	outputs[ERRORS].head_name = NULL;
	run_commit();
	ck_assert_int_eq(outcome.status, COMMIT_UNSAVED);
	assert_file(data_fd, targets[ROWS], texts[ROWS]);
	ck_assert_int_eq(count_entries(data_fd), 2);
	ck_assert(file_exists(active_fd, RECEIPT));
	ck_assert(!file_exists(options.job_dir_fd, "result.json"));
	struct commit_record *record = read_record(options.job_dir_fd);
	ck_assert_str_eq(record->result->id, ID);
	ck_assert_int_eq(commit_recover(record, &data_fd, 1), 0);
	commit_record_free(record);
	unmount_small_state();
}
END_TEST

START_TEST(a_result_that_finds_no_room_keeps_the_receipt)
{
	if (!mount_small_state("fill")) {
		return;
	}
	options.n_outputs = 0;
	run_commit();
	ck_assert_int_eq(outcome.status, COMMIT_UNSAVED);
	ck_assert(file_exists(active_fd, RECEIPT));
	unmount_small_state();
}
END_TEST

/* The requests of a commit of two outputs, as the storage process counts them. */
enum {
	REQUEST_FINISH_ERRORS = 1,
	REQUEST_FINISH_ROWS,
	REQUEST_HEAD,
	REQUEST_RECORD,
	REQUEST_RENAME_ERRORS,
	REQUEST_RENAME_ROWS,
	REQUEST_RESULT,
	REQUEST_RECEIPT,
};

START_TEST(a_storage_that_dies_in_an_fsync_fails_the_commit)
{
	for (unsigned n = REQUEST_FINISH_ERRORS; n <= REQUEST_FINISH_ROWS; n++) {
		killer_arm(n, true);
		run_commit();
		ck_assert(killer_has_struck());
		assert_failed(JOB_REASON_IO_ERROR);
		ck_assert_ptr_nonnull(strstr(outcome.message, "the storage process died"));
		ck_assert_int_eq(count_entries(data_fd), 0);
		teardown();
		setup();
	}
}
END_TEST

START_TEST(a_storage_that_dies_later_is_replaced)
{
	for (unsigned n = REQUEST_HEAD; n <= REQUEST_RECEIPT; n++) {
		for (int is_late = 0; is_late <= 1; is_late++) {
			killer_arm(n, is_late);
			outputs[ROWS].is_noreplace = true;
			run_commit();
			ck_assert(killer_has_struck());
			assert_committed();
			job_result_free(read_result());
			assert_file(job_fd, "errors.jsonl", texts[ERRORS]);
			teardown();
			setup();
		}
	}
}
END_TEST

START_TEST(a_directory_that_is_synced_late_costs_nothing)
{
	for (int is_kill = 0; is_kill <= 1; is_kill++) {
		fail_syncs(3, is_kill);
		run_commit();
		assert_committed();
		job_result_free(read_result());
		teardown();
		setup();
	}
}
END_TEST

/* They are where readers look for them, but only the next start may say that they stay there. */
START_TEST(a_directory_that_is_never_synced_leaves_the_record_to_the_next_start)
{
	for (int is_kill = 0; is_kill <= 1; is_kill++) {
		fail_syncs(1000, is_kill);
		run_commit();
		ck_assert_int_eq(outcome.status, COMMIT_UNSYNCED);
		ck_assert_int_eq(outcome.reason, JOB_REASON_OK);
		assert_file(data_fd, targets[ROWS], texts[ROWS]);
		assert_file(data_fd, targets[ERRORS], texts[ERRORS]);
		ck_assert_int_eq(count_entries(data_fd), 2);
		ck_assert(!file_exists(job_fd, "result.json"));
		ck_assert(file_exists(active_fd, RECEIPT));
		struct commit_record *record = read_record(job_fd);
		ck_assert_int_eq(commit_recover(record, &data_fd, 1), 0);
		commit_record_free(record);
		teardown();
		setup();
	}
}
END_TEST

static void on_unstuck(void *userdata, int64_t now_ns)
{
	struct loop_source **timer = userdata;

	if (!file_exists(data_fd, targets[ERRORS])) {
		ck_assert_int_eq(loop_timer_arm(*timer, now_ns + 10 * CLOCK_NS_PER_MS), 0);
		return;
	}
	ck_assert_int_eq(outcome.n, 0);
	ck_assert_int_eq(unlinkat(data_fd, STUCK_FILE, 0), 0);
}

/* Also behind one whose directory cannot be synced: that one is in place all the same. */
START_TEST(a_target_behind_one_that_is_in_place_is_waited_for)
{
	for (int is_unsynced = 0; is_unsynced <= 1; is_unsynced++) {
		struct loop_source *timer = NULL;
		int64_t due_ns = clock_monotonic_ns() + 300 * CLOCK_NS_PER_MS;
		fail_syncs(is_unsynced ? 1000 : 0, false);
		make_file(data_fd, STUCK_FILE, targets[ROWS]);
		ck_assert_int_eq(loop_add_timer(fixture.loop, on_unstuck, &timer, &timer), 0);
		ck_assert_int_eq(loop_timer_arm(timer, due_ns), 0);
		outputs[ERRORS].is_noreplace = outputs[ROWS].is_noreplace = true;
		run_commit();
		loop_source_free(timer);
		if (!is_unsynced) {
			assert_committed();
		}
		ck_assert_int_eq(outcome.status, is_unsynced ? COMMIT_UNSYNCED : COMMIT_DURABLE);
		assert_file(data_fd, targets[ROWS], texts[ROWS]);
		assert_file(data_fd, targets[ERRORS], texts[ERRORS]);
		teardown();
		setup();
	}
}
END_TEST

START_TEST(a_target_that_is_there_keeps_all_others_back)
{
	outputs[ROWS].is_noreplace = true;
	make_file(data_fd, targets[ROWS], "someone else's");
	run_commit();
	assert_failed(JOB_REASON_OUTPUT_EXISTS);
	ck_assert(!file_exists(data_fd, targets[ERRORS]));
	ck_assert_int_eq(count_entries(data_fd), 1);
}
END_TEST

/* The record that a commit of these outputs would write. */
static struct commit_record *record_of_outputs(struct commit_file files[N_OUTPUTS])
{
	static struct commit_record record;
	for (int i = 0; i < N_OUTPUTS; i++) {
		struct stat st;
		ck_assert_int_eq(ftruncate(outputs[i].fd, (off_t)outputs[i].size_bytes), 0);
		ck_assert_int_eq(fstat(outputs[i].fd, &st), 0);
		files[i] = (struct commit_file){.temporary = outputs[i].temporary_path,
						.target = outputs[i].target_path,
						.inode = st.st_ino,
						.size_bytes = outputs[i].size_bytes};
	}
	record = (struct commit_record){.result = &result, .n_files = N_OUTPUTS, .files = files};
	return &record;
}

static void publish(int i)
{
	ck_assert_int_eq(renameat(data_fd, temporaries[i], data_fd, targets[i]), 0);
}

START_TEST(a_restart_knows_how_far_the_renames_came)
{
	struct commit_file files[N_OUTPUTS];
	struct commit_record *record = record_of_outputs(files);
	make_file(data_fd, targets[ROWS], "old");
	ck_assert_int_eq(commit_recover(record, &data_fd, 1), 1);
	publish(ERRORS);
	ck_assert_int_eq(commit_recover(record, &data_fd, 1), 1);
	publish(ROWS);
	ck_assert_int_eq(commit_recover(record, &data_fd, 1), 0);
}
END_TEST

START_TEST(a_restart_that_finds_other_files_does_not_claim_success)
{
	struct commit_file files[N_OUTPUTS];
	struct commit_record *record = record_of_outputs(files);
	ck_assert_int_eq(unlinkat(data_fd, temporaries[ROWS], 0), 0);
	ck_assert_int_eq(commit_recover(record, &data_fd, 1), -ENOENT);
	make_file(data_fd, targets[ROWS], texts[ROWS]);
	ck_assert_int_eq(commit_recover(record, &data_fd, 1), -ENOENT);
	ck_assert_int_eq(unlinkat(data_fd, targets[ROWS], 0), 0);
	ck_assert_int_eq(symlinkat(targets[ERRORS], data_fd, targets[ROWS]), 0);
	ck_assert_int_eq(commit_recover(record, &data_fd, 1), -ENOENT);
	ck_assert_int_eq(commit_recover(record, &data_fd, 0), -ENOENT);
}
END_TEST

START_TEST(what_a_restart_finds_half_renamed_is_finished)
{
	publish(ERRORS);
	ck_assert_int_eq(ftruncate(outputs[ERRORS].fd, (off_t)outputs[ERRORS].size_bytes), 0);
	options.outputs = &outputs[ROWS];
	options.n_outputs = 1;
	run_commit();
	assert_committed();
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return storage_main(argc - 2, argv + 2);
	}
	const TTest *tests[] = {
		a_commit_publishes_what_was_accepted_and_no_more,
		the_rows_of_a_job_that_failed_are_not_published,
		a_job_without_outputs_still_gets_result_and_receipt,
		an_output_that_must_be_new_replaces_nothing,
		a_directory_in_the_targets_place_is_named,
		a_temporary_file_that_was_taken_away_is_no_success,
		a_file_that_cannot_be_finished_publishes_nothing,
		a_full_state_directory_publishes_nothing,
		a_result_that_finds_no_room_does_not_fail_what_is_published,
		a_result_that_finds_no_room_keeps_the_receipt,
		a_storage_that_dies_in_an_fsync_fails_the_commit,
		a_storage_that_dies_later_is_replaced,
		a_directory_that_is_synced_late_costs_nothing,
		a_directory_that_is_never_synced_leaves_the_record_to_the_next_start,
		a_target_behind_one_that_is_in_place_is_waited_for,
		a_target_that_is_there_keeps_all_others_back,
		a_restart_knows_how_far_the_renames_came,
		a_restart_that_finds_other_files_does_not_claim_success,
		what_a_restart_finds_half_renamed_is_finished,
	};
	return unit_run("commit", tests, ARRAY_SIZE(tests), setup, teardown);
}
