/* SPDX-License-Identifier: MIT */
/* What is known of jobs on the disk: there and back again, broken files, and the counters' base. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/model/job_id.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/str.h"
#include "daemon/sched/job_store.h"
#include "tests/support/tree.h"
#include "tests/support/unit.h"

#define ID_A "20261122T101502123Z"
#define ID_B "20261122T101502124Z"
#define ID_C "20261122T101502125Z"

static struct job_result_pipe sample_pipe = {.input = (char[]){"in \"1\".csv"},
					     .output = (char[]){"out/\xc3\xa4.jsonl"},
					     .total_processed = 10,
					     .success_count = 7,
					     .error_count = 3,
					     .input_bytes = 1000};

static struct job_result sample_result(void)
{
	static char id[] = ID_A, name[] = "users", message[] = "a \"quoted\"\nline",
		    receipt[] = ID_A ".users.json";
	return (struct job_result){.id = id,
				   .name = name,
				   .message = message,
				   .receipt = receipt,
				   .state = JOB_STATE_COMPLETED,
				   .reason = JOB_REASON_OK,
				   .finish_sequence = 5,
				   .verified = true,
				   .priority = -7,
				   .total_processed = 10,
				   .success_count = 7,
				   .error_count = 3,
				   .rejects = {[REJECT_RAGGED] = 2, [REJECT_NUL_BYTE] = 1},
				   .input_bytes = 1000,
				   .output_bytes = INT64_MAX,
				   .submitted_at_ns = 1 * CLOCK_NS_PER_SEC,
				   .started_at_ns = 3 * CLOCK_NS_PER_SEC,
				   .finished_at_ns = 7 * CLOCK_NS_PER_SEC,
				   .peak_ram_bytes = 4096,
				   .worker_exits = {4, 5, 6, 7, 8, 9},
				   .n_workers = 4,
				   .n_worker_restarts = 1,
				   .commit_seconds = 0.1,
				   .n_pipes = 1,
				   .pipes = &sample_pipe};
}

START_TEST(a_result_is_read_as_it_was_written)
{
	struct job_result result = sample_result(), *again = NULL;
	struct buf text = BUF_INIT, text_again = BUF_INIT;
	job_result_render(&result, &text);
	ck_assert_int_eq(job_result_parse(text.data, text.len, &again), 0);
	ck_assert_str_eq(again->message, result.message);
	ck_assert_int_eq(again->state, JOB_STATE_COMPLETED);
	ck_assert_int_eq(again->priority, -7);
	ck_assert_int_eq(again->output_bytes, INT64_MAX);
	ck_assert_int_eq(again->rejects[REJECT_NUL_BYTE], 1);
	ck_assert_mem_eq(again->worker_exits, result.worker_exits, sizeof(result.worker_exits));
	ck_assert(again->verified);
	ck_assert(again->commit_seconds == 0.1);
	ck_assert_uint_eq(again->n_pipes, 1);
	ck_assert_str_eq(again->pipes[0].output, sample_pipe.output);
	ck_assert_ptr_null(again->pipes[0].errors);
	job_result_render(again, &text_again);
	ck_assert_str_eq(buf_terminated(&text), buf_terminated(&text_again));
	job_result_free(again);
	buf_deinit(&text);
	buf_deinit(&text_again);
}
END_TEST

/* The sample with one piece of its text replaced. */
static int parse_changed(const char *from, const char *to)
{
	struct job_result result = sample_result(), *again = NULL;
	struct buf text = BUF_INIT, changed = BUF_INIT;
	job_result_render(&result, &text);
	const char *at = strstr(buf_terminated(&text), from);
	ck_assert_msg(at != NULL, "%s is not in %s", from, buf_terminated(&text));
	buf_add(&changed, text.data, (size_t)(at - text.data));
	buf_add_str(&changed, to);
	buf_add_str(&changed, at + strlen(from));
	int r = job_result_parse(changed.data, changed.len, &again);
	job_result_free(again);
	buf_deinit(&text);
	buf_deinit(&changed);
	return r;
}

START_TEST(a_broken_result_is_no_result)
{
	ck_assert_int_eq(parse_changed("\"version\":1", "\"version\":2"), -EINVAL);
	ck_assert_int_eq(parse_changed("\"id\":\"" ID_A "\"", "\"id\":\"../../etc\""), -EINVAL);
	ck_assert_int_eq(parse_changed("\"name\":\"users\"", "\"x\":1"), -EINVAL);
	ck_assert_int_eq(parse_changed("\"completed\"", "\"pending\""), -EINVAL);
	ck_assert_int_eq(parse_changed("\"completed\"", "7"), -EINVAL);
	ck_assert_int_eq(
		parse_changed("\"finish_sequence\":5", "\"finish_sequence\":9007199254740993"),
		-EINVAL);
	ck_assert_int_eq(parse_changed("\"error_count\":3", "\"error_count\":-3"), -EINVAL);
	ck_assert_int_eq(parse_changed("\"error_count\":3", "\"error_count\":\"3\""), -EINVAL);
	ck_assert_int_eq(parse_changed("\"ragged\":2", "\"ragged\":true"), -EINVAL);
	ck_assert_int_eq(parse_changed("\"pipes\":[{", "\"pipes\":{\"a\":[{"), -EINVAL);
	ck_assert_int_eq(parse_changed("]}", "]"), -EINVAL);
}
END_TEST

START_TEST(a_result_of_a_later_version_of_ours_is_read)
{
	ck_assert_int_eq(parse_changed("\"verified\":true", "\"verified\":true,\"new\":[{}]"), 0);
	ck_assert_int_eq(parse_changed("\"verified\":true,", ""), 0);
}
END_TEST

START_TEST(meta_is_read_as_it_was_written)
{
	struct job_meta meta = {.id = (char[]){ID_A},
				.file_name = (char[]){"a b.json"},
				.uid = UINT32_MAX,
				.submitted_at_ns = 17},
			*again = NULL;
	struct buf text = BUF_INIT;
	job_meta_render(&meta, &text);
	ck_assert_int_eq(job_meta_parse(text.data, text.len, &again), 0);
	ck_assert_str_eq(again->file_name, "a b.json");
	ck_assert_uint_eq(again->uid, UINT32_MAX);
	ck_assert_int_eq(again->submitted_at_ns, 17);
	job_meta_free(again);
	ck_assert_int_eq(job_meta_parse("{\"version\":1}", 13, &again), -EINVAL);
	buf_deinit(&text);
}
END_TEST

START_TEST(a_commit_record_is_read_as_it_was_written)
{
	struct job_result result = sample_result();
	struct commit_file files[] = {{.root = 1,
				       .temporary = (char[]){".zp-1.part"},
				       .target = (char[]){"d/errors.jsonl"},
				       .dev = 1,
				       .inode = UINT64_MAX,
				       .size_bytes = 3,
				       .is_errors = true},
				      {.temporary = (char[]){".zp-0.part"},
				       .target = (char[]){"out"},
				       .is_noreplace = true}};
	struct commit_record record = {.result = &result, .n_files = 2, .files = files},
			     *again = NULL;
	struct buf text = BUF_INIT;
	commit_record_render(&record, &text);
	ck_assert_int_eq(commit_record_parse(text.data, text.len, &again), 0);
	ck_assert_uint_eq(again->n_files, 2);
	ck_assert_uint_eq(again->files[0].root, 1);
	ck_assert_uint_eq(again->files[0].inode, UINT64_MAX);
	ck_assert(again->files[0].is_errors && !again->files[0].is_noreplace);
	ck_assert_str_eq(again->files[1].target, "out");
	ck_assert(again->files[1].is_noreplace);
	ck_assert_str_eq(again->result->name, "users");
	commit_record_free(again);
	ck_assert_int_eq(commit_record_parse(text.data, text.len - 4, &again), -EINVAL);
	buf_deinit(&text);
}
END_TEST

START_TEST(ids_rise_even_if_the_clock_does_not)
{
	char id[24] = "", before[24];
	job_id_next(id, INT64_C(1795342502123) * CLOCK_NS_PER_MS);
	ck_assert_str_eq(id, "20261122T101502123Z");
	for (int i = 0; i < 2000; i++) {
		memcpy(before, id, sizeof(id));
		job_id_next(id, i % 2 ? 0 : INT64_C(1795342502123) * CLOCK_NS_PER_MS);
		ck_assert_int_lt(strcmp(before, id), 0);
		ck_assert(job_id_is_valid(id));
	}
	ck_assert_str_eq(id, "20261122T101504123Z");
	snprintf(id, sizeof(id), "20261231T235959999Z");
	job_id_next(id, 0);
	ck_assert_str_eq(id, "20270101T000000000Z");
}
END_TEST

START_TEST(only_ids_are_ids)
{
	static const char *const wrong[] = {"",
					    "20261122T101502123",
					    "20261122T101502123ZZ",
					    "20261122t101502123Z",
					    "2026112/T101502123Z",
					    "20261122T10150212:Z"};
	for (size_t i = 0; i < ARRAY_SIZE(wrong); i++) {
		ck_assert(!job_id_is_valid(wrong[i]));
	}
	ck_assert(job_id_is_valid(ID_A));
}
END_TEST

START_TEST(each_result_is_counted_once)
{
	struct counter_base base = {0};
	struct job_result result = sample_result();
	for (int i = 0; i < 3; i++) {
		ck_assert_int_eq(counter_base_fold(&base, &result), 0);
	}
	ck_assert_uint_eq(base.finish_sequence, 5);
	ck_assert_uint_eq(base.totals.n_names, 1);
	const struct name_totals_view *name = &base.totals.names[0];
	ck_assert_str_eq(name->name, "users");
	ck_assert_int_eq(name->rows_processed, 10);
	ck_assert_int_eq(name->rejects[REJECT_RAGGED], 2);
	ck_assert_int_eq(name->jobs_completed, 1);
	ck_assert(name->last_success_timestamp_seconds == 7);
	ck_assert(name->last_duration_seconds == 4);
	ck_assert(name->last_queue_seconds == 2);
	ck_assert_int_eq(base.totals.duration_counts[2], 0);
	ck_assert_int_eq(base.totals.duration_counts[3], 1); /* 4 s: over 1, at most 5 */
	ck_assert_int_eq(base.totals.worker_restarts, 1);
	ck_assert_int_eq(base.totals.worker_exits[WORKER_CAUSE_OK], 4);
	ck_assert_int_eq(base.totals.worker_exits[WORKER_CAUSE_STALLED], 9);
	result.finish_sequence = 6;
	ck_assert(name->last_failure_timestamp_seconds == 0);
	result.state = JOB_STATE_FAILED;
	result.finished_at_ns = 8 * CLOCK_NS_PER_SEC;
	result.total_processed = 1;
	ck_assert_int_eq(counter_base_fold(&base, &result), 0);
	ck_assert_int_eq(name->rows_processed, 11);
	ck_assert_int_eq(name->jobs_failed, 1);
	ck_assert(name->last_success_timestamp_seconds == 7);
	ck_assert(name->last_failure_timestamp_seconds == 8);
	ck_assert_int_eq(name->last_rows_processed, 1);
	result.finish_sequence = 7;
	result.state = JOB_STATE_ABORTED;
	result.finished_at_ns = 9 * CLOCK_NS_PER_SEC;
	ck_assert_int_eq(counter_base_fold(&base, &result), 0);
	ck_assert_int_eq(name->jobs_aborted, 1);
	ck_assert(name->last_success_timestamp_seconds == 7);
	ck_assert(name->last_failure_timestamp_seconds == 8);
	struct counter_base *heap = malloc(sizeof(*heap));
	*heap = base;
	counter_base_free(heap);
}
END_TEST

START_TEST(names_beyond_the_cap_are_counted_as_one)
{
	struct counter_base *base = calloc(1, sizeof(*base));
	for (unsigned i = 0; i < 2 * NAME_TOTALS_MAX; i++) {
		struct job_result result = sample_result();
		char name[32];
		snprintf(name, sizeof(name), "job-%u", i);
		result.name = name;
		result.finish_sequence = i + 1;
		ck_assert_int_eq(counter_base_fold(base, &result), 0);
	}
	ck_assert_uint_eq(base->totals.n_names, NAME_TOTALS_MAX);
	const struct name_totals_view *last = &base->totals.names[NAME_TOTALS_MAX - 1];
	ck_assert_str_eq(last->name, "_other");
	ck_assert_int_eq(last->jobs_completed, NAME_TOTALS_MAX + 1);
	ck_assert_int_eq(last->output_bytes, INT64_MAX);
	ck_assert_ptr_eq(totals_of(&base->totals, "job-0"), base->totals.names);
	counter_base_free(base);
}
END_TEST

START_TEST(a_base_is_read_as_it_was_written)
{
	struct counter_base *base = calloc(1, sizeof(*base)), *again = NULL;
	struct job_result result = sample_result();
	struct buf text = BUF_INIT, text_again = BUF_INIT;
	ck_assert_int_eq(counter_base_fold(base, &result), 0);
	result.finish_sequence++;
	result.state = JOB_STATE_FAILED;
	result.finished_at_ns = 8 * CLOCK_NS_PER_SEC;
	ck_assert_int_eq(counter_base_fold(base, &result), 0);
	memcpy(base->last_id, ID_C, sizeof(ID_C));
	counter_base_render(base, &text);
	ck_assert_int_eq(counter_base_parse(text.data, text.len, &again), 0);
	ck_assert_str_eq(again->last_id, ID_C);
	ck_assert(again->totals.names[0].last_success_timestamp_seconds == 7);
	ck_assert(again->totals.names[0].last_failure_timestamp_seconds == 8);
	counter_base_render(again, &text_again);
	ck_assert_str_eq(buf_terminated(&text), buf_terminated(&text_again));
	counter_base_free(again);
	ck_assert_int_eq(counter_base_parse(text.data, text.len / 2, &again), -EINVAL);
	counter_base_free(base);
	buf_deinit(&text);
	buf_deinit(&text_again);
}
END_TEST

#define EARLIER_BASE(sequence)                                                                     \
	"{\"version\":1,\"finish_sequence\":" sequence ",\"last_id\":\"\",\"worker_exits_ok\":1,"  \
	"\"worker_exits_error\":2,\"worker_exits_signal\":3,\"worker_restarts\":4,"                \
	"\"stats_files_invalid\":0,\"duration_sum\":0,"                                            \
	"\"duration_counts\":[0,0,0,0,0,0,0,0,0,0,0,0,0],\"names\":[]}"

START_TEST(a_base_with_a_sequence_of_nonsense_is_no_base)
{
	static const char last[] = EARLIER_BASE("9007199254740992");
	static const char later[] = EARLIER_BASE("9007199254740993");
	struct counter_base *base = NULL;

	ck_assert_int_eq(counter_base_parse(last, strlen(last), &base), 0);
	counter_base_free(base);
	ck_assert_int_eq(counter_base_parse(later, strlen(later), &base), -EINVAL);
}
END_TEST

START_TEST(a_base_of_an_earlier_version_of_ours_is_read)
{
	static const char text[] = EARLIER_BASE("7");
	struct counter_base *base = NULL;

	ck_assert_int_eq(counter_base_parse(text, strlen(text), &base), 0);
	ck_assert_int_eq(base->totals.worker_exits[WORKER_CAUSE_OK], 1);
	ck_assert_int_eq(base->totals.worker_exits[WORKER_CAUSE_ERROR], 2);
	ck_assert_int_eq(base->totals.worker_exits[WORKER_CAUSE_SIGNAL], 3);
	ck_assert_int_eq(base->totals.worker_exits[WORKER_CAUSE_STALLED], 0);
	counter_base_free(base);
}
END_TEST

static struct tree tree;

static void setup(void)
{
	tree_setup(&tree);
}

static void teardown(void)
{
	tree_teardown(&tree);
}

struct loaded {
	char text[512];
};

static int on_job(void *userdata, struct stored_job *job)
{
	struct loaded *loaded = userdata;
	size_t len = strlen(loaded->text);
	snprintf(loaded->text + len, sizeof(loaded->text) - len, "%s%s%s%s%s %s\n", job->id + 15,
		 job->spec ? " spec" : "", job->meta ? " meta" : "", job->result ? " result" : "",
		 job->commit ? " commit" : "", job->receipt ? job->receipt + 20 : "-");
	return 0;
}

static void write_meta(int dir_fd, const char *id)
{
	struct job_meta meta = {.id = strdup(id), .file_name = (char[]){"x.json"}};
	struct buf text = BUF_INIT;
	job_meta_render(&meta, &text);
	make_file(dir_fd, "meta.json", buf_terminated(&text));
	free(meta.id);
	buf_deinit(&text);
}

START_TEST(jobs_are_loaded_by_age_with_what_is_whole)
{
	int jobs = make_dir(tree.dir_fd, "jobs"), active = make_dir(tree.dir_fd, "active");
	int a = make_dir(jobs, ID_A), b = make_dir(jobs, ID_B), c = make_dir(jobs, ID_C);
	struct job_result result = sample_result();
	struct buf text = BUF_INIT;
	struct loaded loaded = {""};
	job_result_render(&result, &text);
	make_file(a, "result.json", buf_terminated(&text));
	make_file(active, ID_A ".late.json", "");
	make_file(b, "spec.json", "{}");
	make_file(b, "meta.json", "{");
	make_file(b, ".zp-0123456789abcdef.tmp", "half");
	make_file(b, "result.json", buf_terminated(&text)); /* of another job */
	make_file(active, ID_B ".x.json", "");
	make_file(c, "spec.json", "{}");
	write_meta(c, ID_C);
	make_file(jobs, "README", "");
	fd_close(make_dir(jobs, "20261122T101502126Z"));
	fd_close(make_dir(jobs, "not-an-id"));
	make_file(active, "20261122T101502126Z", "");
	ck_assert_int_eq(job_store_load(jobs, active, on_job, &loaded), 0);
	ck_assert_str_eq(loaded.text, "123Z meta result late.json\n"
				      "124Z spec meta x.json\n"
				      "125Z spec meta -\n"
				      "126Z -\n");
	ck_assert_int_eq(count_entries(b), 3);
	buf_deinit(&text);
	fd_close(a);
	fd_close(b);
	fd_close(c);
	fd_close(jobs);
	fd_close(active);
}
END_TEST

static int on_job_stop(void *userdata, struct stored_job *job)
{
	(*(int *)userdata)++;
	free(job->id);
	job->id = NULL; /* taken over */
	return -ECANCELED;
}

START_TEST(loading_stops_when_it_is_told_to)
{
	int n = 0, jobs = make_dir(tree.dir_fd, "jobs");
	fd_close(make_dir(jobs, ID_A));
	fd_close(make_dir(jobs, ID_B));
	ck_assert_int_eq(job_store_load(jobs, jobs, on_job_stop, &n), -ECANCELED);
	ck_assert_int_eq(n, 1);
	fd_close(jobs);
	ck_assert_int_eq(job_store_load(-1, -1, on_job_stop, &n), -EBADF);
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, a_result_is_read_as_it_was_written, a_broken_result_is_no_result,
	       a_result_of_a_later_version_of_ours_is_read, meta_is_read_as_it_was_written,
	       a_commit_record_is_read_as_it_was_written, ids_rise_even_if_the_clock_does_not,
	       only_ids_are_ids, each_result_is_counted_once,
	       names_beyond_the_cap_are_counted_as_one, a_base_is_read_as_it_was_written,
	       a_base_of_an_earlier_version_of_ours_is_read,
	       a_base_with_a_sequence_of_nonsense_is_no_base,
	       jobs_are_loaded_by_age_with_what_is_whole, loading_stops_when_it_is_told_to)
