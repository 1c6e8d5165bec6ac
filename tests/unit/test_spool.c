/* SPDX-License-Identifier: MIT */
/* The spool with a real directory, real inotify and the real storage process. */
#include "tests/support/storage_killer.h"

#include <sys/mount.h>

#include "common/util/clock.h"
#include "daemon/spool/space.h"
#include "daemon/spool/spool.h"

#define MS	    CLOCK_NS_PER_MS
#define MAX_WAIT_NS (50 * CLOCK_NS_PER_SEC)

static struct spool *spool;
static int spool_fd, jobs_fd, incoming_fd, invalid_fd, active_fd;
static unsigned n_ids, n_wanted;
static struct loop_source *deadline;

static struct taken {
	unsigned n;
	char last_id[24], names[512], text[64];
	uid_t uid;
	bool is_quiet; /* names are not kept */
} taken;

static void next_id(void *userdata, char ret_id[24])
{
	snprintf(ret_id, 24, "20261122T%09uZ", ++n_ids);
}

/* A spec whose text begins with "bad" is invalid. */
static int claimed(void *userdata, const struct spool_claim *claim, char **ret_error)
{
	char path[64];
	ck_assert_int_gt(strcmp(claim->id, taken.last_id), 0);
	snprintf(taken.last_id, sizeof(taken.last_id), "%s", claim->id);
	if (str_starts_with(claim->text, "bad")) {
		*ret_error = strdup("$.input: \"path\" is missing");
		return -EINVAL;
	}
	snprintf(path, sizeof(path), "%s/spec.json", claim->id);
	if (!taken.is_quiet) {
		assert_file(jobs_fd, path, claim->text);
		size_t len = strlen(taken.names);
		snprintf(taken.names + len, sizeof(taken.names) - len, "%s ", claim->file_name);
	}
	ck_assert_uint_eq(strlen(claim->text), claim->len);
	snprintf(taken.text, sizeof(taken.text), "%s", claim->text);
	taken.uid = claim->uid;
	taken.n++;
	return 0;
}

/* What a wait waits for. */
static bool (*is_reached)(void);

static void changed(void *userdata)
{
	if (spool && is_reached && is_reached()) {
		loop_exit(fixture.loop, 0);
	}
}

static void on_deadline(void *userdata, int64_t now_ns)
{
	loop_exit(fixture.loop, 1);
}

static void wait_until(bool (*fn)(void))
{
	is_reached = fn;
	if (!fn()) {
		ck_assert_int_eq(loop_timer_arm(deadline, clock_monotonic_ns() + MAX_WAIT_NS), 0);
		ck_assert_msg(loop_run(fixture.loop) == 0, "it was not reached in time");
	}
	is_reached = NULL;
}

static bool is_idle(void)
{
	return spool_is_idle(spool);
}

static bool has_taken_wanted(void)
{
	return taken.n == n_wanted && spool_is_idle(spool);
}

static bool has_taken_one(void)
{
	return taken.n == 1;
}

static bool has_problem(void)
{
	return spool_problem(spool) != NULL;
}

static bool has_no_problem(void)
{
	return spool_is_scanned(spool) && spool_problem(spool) == NULL && spool_is_idle(spool);
}

static void wait_for_taken(unsigned n)
{
	n_wanted = n;
	wait_until(has_taken_wanted);
	ck_assert_uint_eq(taken.n, n);
}

static void open_spool(void)
{
	static const uid_t uids[] = {4711};
	const struct spool_options options = {
		.spool_dir_fd = spool_fd,
		.jobs_dir_fd = jobs_fd,
		.allowed_uids = uids,
		.n_allowed_uids = 1,
		.storage = fixture.storage,
		.callbacks = {.next_id = next_id, .claimed = claimed, .changed = changed},
	};
	ck_assert_int_eq(spool_new(fixture.loop, &options, &spool), 0);
}

static void setup(void)
{
	fixture_setup();
	spool_fd = make_dir(fixture.dir_fd, "spool");
	jobs_fd = make_dir(fixture.dir_fd, "jobs");
	incoming_fd = spool_open_area(spool_fd, SPOOL_INCOMING);
	invalid_fd = spool_open_area(spool_fd, SPOOL_INVALID);
	active_fd = spool_open_area(spool_fd, SPOOL_ACTIVE);
	ck_assert_int_eq(loop_add_timer(fixture.loop, on_deadline, NULL, &deadline), 0);
	spool = NULL;
	taken = (struct taken){0};
	n_ids = 0;
}

static void teardown(void)
{
	spool = spool_free(spool);
	deadline = loop_source_free(deadline);
	fd_close(spool_fd);
	fd_close(jobs_fd);
	fd_close(incoming_fd);
	fd_close(invalid_fd);
	fd_close(active_fd);
	fixture_teardown();
}

START_TEST(what_lay_there_is_taken_by_age)
{
	make_file(incoming_fd, "b.json", "{\"b\"}");
	struct timespec old[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	make_file(incoming_fd, "c.json", "{\"c\"}");
	ck_assert_int_eq(utimensat(incoming_fd, "c.json", old, 0), 0);
	open_spool();
	ck_assert(!spool_is_scanned(spool));
	wait_until(is_idle);
	ck_assert(spool_is_scanned(spool));
	ck_assert_str_eq(taken.names, "c.json b.json ");
	ck_assert_uint_eq(taken.uid, geteuid());
	ck_assert_int_eq(count_entries(incoming_fd), 0);
	ck_assert_int_eq(count_entries(active_fd), 2);
	assert_file(active_fd, "20261122T000000001Z.c.json", "{\"c\"}");
}
END_TEST

START_TEST(a_spec_is_taken_when_it_is_dropped)
{
	open_spool();
	wait_until(is_idle);
	make_file(incoming_fd, "copied.json", "{1}");
	wait_for_taken(1);
	make_file(fixture.dir_fd, "elsewhere", "{2}");
	ck_assert_int_eq(renameat(fixture.dir_fd, "elsewhere", incoming_fd, "moved.json"), 0);
	wait_for_taken(2);
	ck_assert_str_eq(taken.names, "copied.json moved.json ");
	ck_assert_str_eq(taken.text, "{2}");
}
END_TEST

START_TEST(files_that_are_no_specs_are_left_alone)
{
	make_file(incoming_fd, ".hidden.json", "{}");
	make_file(incoming_fd, "half.json.tmp", "{}");
	make_file(invalid_fd, ".zp-0123456789abcdef.tmp", "left by a crash");
	open_spool();
	wait_until(is_idle);
	make_file(incoming_fd, "notes.txt", "{}");
	make_file(incoming_fd, "a.json", "{}");
	wait_for_taken(1);
	ck_assert_int_eq(count_entries(incoming_fd), 3);
	ck_assert_int_eq(count_entries(invalid_fd), 0);
}
END_TEST

static void on_writer_time(void *userdata, int64_t now_ns)
{
	int *writer = userdata;
	ck_assert_uint_eq(taken.n, 0);
	ck_assert(!spool_is_idle(spool));
	ck_assert_int_eq(fd_write_all(*writer, " whole}", 7), 0);
	*writer = fd_close(*writer);
}

START_TEST(specs_that_are_stuck_do_not_hold_up_others)
{
	open_spool();
	wait_until(is_idle);
	/* To be refused, but invalid/ can't be written to. */
	for (unsigned i = 0; i < 20; i++) {
		char name[64];
		snprintf(name, sizeof(name), "stuck-%u.json", i);
		ck_assert_int_eq(symlinkat("x", incoming_fd, name), 0);
	}
	char path[64];
	snprintf(path, sizeof(path), "%s/spool/invalid", fixture.tree.path);
	if (mount("tmpfs", path, "tmpfs", MS_RDONLY, NULL) < 0) {
		return; /* needs root */
	}
	make_file(incoming_fd, "z.json", "{}");
	spool_rescan(spool);
	wait_until(has_taken_one);
	ck_assert_ptr_nonnull(strstr(spool_problem(spool), "stuck-0.json"));
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_half_written_spec_waits_for_its_writer)
{
	int writer = openat(incoming_fd, "a.json", O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	struct loop_source *timer = NULL;
	ck_assert_int_eq(fd_write_all(writer, "{", 1), 0);
	open_spool();
	ck_assert_int_eq(loop_add_timer(fixture.loop, on_writer_time, &writer, &timer), 0);
	ck_assert_int_eq(loop_timer_arm(timer, clock_monotonic_ns() + 300 * MS), 0);
	wait_for_taken(1);
	ck_assert_int_eq(writer, -1);
	ck_assert_str_eq(taken.text, "{ whole}");
	loop_source_free(timer);
}
END_TEST

static void assert_explained(const char *receipt, const char *reason)
{
	char name[300];
	ck_assert_msg(file_exists(invalid_fd, receipt), "%s is not in invalid/", receipt);
	snprintf(name, sizeof(name), "%s.error.json", receipt);
	char *text = file_text(invalid_fd, name);
	ck_assert_msg(text != NULL, "%s is missing", name);
	ck_assert_msg(strstr(text, reason) != NULL, "%s: %s", name, text);
	free(text);
}

START_TEST(what_is_no_spec_is_moved_to_invalid_with_its_reason)
{
	char long_name[256] = "";
	memset(long_name, 'x', 245);
	memcpy(long_name + 245, ".json", 5);
	make_file(fixture.dir_fd, "outside", "{}");
	ck_assert_int_eq(symlinkat("../../outside", incoming_fd, "1.json"), 0);
	open_spool();
	wait_until(is_idle);
	assert_explained("20261122T000000001Z.1.json", "symbolic link");
	ck_assert_int_eq(linkat(fixture.dir_fd, "outside", incoming_fd, "2.json", 0), 0);
	spool_rescan(spool);
	wait_until(is_idle);
	assert_explained("20261122T000000002Z.2.json", "link");
	ck_assert_int_eq(mkfifoat(incoming_fd, "3.json", 0600), 0);
	spool_rescan(spool);
	wait_until(is_idle);
	assert_explained("20261122T000000003Z.3.json", "regular");
	ck_assert_int_eq(mkdirat(incoming_fd, "4.json", 0700), 0);
	spool_rescan(spool);
	wait_until(is_idle);
	assert_explained("20261122T000000004Z.4.json", "regular");
	make_file(incoming_fd, long_name, "{}");
	wait_until(is_idle);
	spool_rescan(spool);
	wait_until(is_idle);
	ck_assert_uint_eq(taken.n, 0);
	ck_assert_int_eq(count_entries(incoming_fd), 0);
	ck_assert_int_eq(count_entries(invalid_fd), 10);
	ck_assert_int_eq(count_entries(jobs_fd), 0);
	assert_file(fixture.dir_fd, "outside", "{}");
}
END_TEST

START_TEST(an_invalid_spec_leaves_no_job_behind)
{
	make_file(incoming_fd, "a.json", "bad");
	open_spool();
	wait_until(is_idle);
	assert_explained("20261122T000000001Z.a.json", "$.input: \\\"path\\\" is missing");
	assert_file(invalid_fd, "20261122T000000001Z.a.json", "bad");
	ck_assert_int_eq(count_entries(jobs_fd), 0);
	ck_assert_int_eq(count_entries(active_fd), 0);
	make_file(incoming_fd, "a.json", "{}");
	wait_for_taken(1);
}
END_TEST

START_TEST(an_invalid_spec_may_have_the_longest_name)
{
	char name[NAME_MAX + 1], active[] = "20261122T000000001Z.";
	int room = (int)(NAME_MAX - strlen(active) - strlen(".json"));

	snprintf(name, sizeof(name), "%0*d.json", room, 0);
	make_file(incoming_fd, name, "bad");
	open_spool();
	wait_until(is_idle);
	ck_assert_int_eq(count_entries(invalid_fd), 2);
	ck_assert_int_eq(count_entries(jobs_fd), 0);
	ck_assert_int_eq(count_entries(active_fd), 0);
}
END_TEST

START_TEST(too_large_a_spec_is_refused)
{
	char *text = malloc(1024 * 1024 + 2);
	memset(text, ' ', 1024 * 1024 + 1);
	text[1024 * 1024 + 1] = '\0';
	make_file(incoming_fd, "big.json", text);
	text[1024 * 1024] = '\0';
	make_file(incoming_fd, "large.json", text);
	taken.is_quiet = true;
	open_spool();
	wait_for_taken(1);
	ck_assert_int_eq(count_entries(invalid_fd), 2);
	free(text);
}
END_TEST

START_TEST(only_allowed_users_are_served)
{
	make_file(incoming_fd, "a.json", "{}");
	make_file(incoming_fd, "b.json", "{}");
	if (fchownat(incoming_fd, "a.json", 4711, 4711, 0) < 0 ||
	    fchownat(incoming_fd, "b.json", 4712, 4712, 0) < 0) {
		return; /* needs root */
	}
	open_spool();
	wait_for_taken(1);
	ck_assert_uint_eq(taken.uid, 4711);
	assert_explained("20261122T000000002Z.b.json", "allowed_users");
}
END_TEST

START_TEST(one_name_may_come_again_and_again)
{
	open_spool();
	for (unsigned i = 1; i <= 20; i++) {
		make_file(incoming_fd, "a.json", "{}");
		wait_for_taken(i);
	}
	ck_assert_int_eq(count_entries(active_fd), 20);
}
END_TEST

START_TEST(five_thousand_specs_at_once_are_all_taken)
{
	enum { N = 5000 };
	char name[32];
	open_spool();
	taken.is_quiet = true;
	wait_until(is_idle);
	for (unsigned i = 0; i < N; i++) {
		snprintf(name, sizeof(name), "%u.json", i);
		make_file(incoming_fd, name, "{}");
	}
	wait_for_taken(N);
	ck_assert_int_eq(count_entries(incoming_fd), 0);
	ck_assert_int_eq(count_entries(jobs_fd), N);
	ck_assert_int_eq(count_entries(active_fd), N);
}
END_TEST

static bool is_counted(void)
{
	return spool_count(spool, SPOOL_ACTIVE) == 2 && spool_count(spool, SPOOL_INVALID) == 1 &&
	       spool_count(spool, SPOOL_DONE) == 1;
}

static void on_count_time(void *userdata, int64_t now_ns)
{
	struct loop_source **timer = userdata;
	ck_assert_int_eq(loop_timer_arm(*timer, now_ns + MS), 0);
	changed(NULL);
}

static bool is_scanned(void)
{
	return spool_is_scanned(spool);
}

START_TEST(what_waits_does_not_put_off_the_start)
{
	for (int i = 0; i < 10; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%d.json", i);
		make_file(incoming_fd, name, "{}");
	}
	open_spool();
	wait_until(is_scanned);
	ck_assert_uint_eq(taken.n, 0);
	ck_assert(!spool_is_idle(spool));
	wait_for_taken(10);
}
END_TEST

START_TEST(the_areas_are_counted)
{
	struct loop_source *timer = NULL;
	int done = spool_open_area(spool_fd, SPOOL_DONE);
	make_file(done, "20261122T000000009Z.old.json", "{}");
	make_file(incoming_fd, "a.json", "{}");
	make_file(incoming_fd, "b.json", "bad");
	open_spool();
	ck_assert_int_eq(spool_count(spool, SPOOL_DONE), -1);
	wait_until(is_idle);
	make_file(incoming_fd, "c.json", "{}");
	ck_assert_int_eq(loop_add_timer(fixture.loop, on_count_time, &timer, &timer), 0);
	ck_assert_int_eq(loop_timer_arm(timer, 0), 0);
	wait_until(is_counted);
	ck_assert_int_eq(spool_count(spool, SPOOL_INCOMING), 0);
	ck_assert_int_eq(spool_count(spool, SPOOL_FAILED), 0);
	loop_source_free(timer);
	fd_close(done);
}
END_TEST

START_TEST(the_place_with_the_least_room_stands_for_its_area)
{
	const struct area_view *views;
	int proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	const int full[] = {spool_fd, proc, -1}, unknown[] = {-1}, half_known[] = {-1, spool_fd};
	struct space space = {
		.spool_dir_fd = spool_fd,
		.places = {{"data", full, 3}, {"run", unknown, 1}, {"x", half_known, 2}},
		.n_places = 3};
	ck_assert_uint_eq(space_get(&space, NULL, &views), SPOOL_N_AREAS + 3);
	ck_assert_int_gt(views[SPOOL_INCOMING].avail_bytes, 0);
	ck_assert_int_ge(views[SPOOL_INCOMING].size_bytes, views[SPOOL_INCOMING].avail_bytes);
	ck_assert_int_eq(views[SPOOL_ACTIVE].size_bytes, -1);
	const struct area_view *places = &views[SPOOL_N_AREAS];
	ck_assert_str_eq(places[0].name, "data");
	ck_assert_int_eq(places[0].avail_bytes, 0); /* there is no room in /proc */
	ck_assert_int_eq(places[1].avail_bytes, -1);
	ck_assert_int_eq(places[1].size_bytes, -1);
	ck_assert_int_gt(places[2].avail_bytes, 0);
	fd_close(proc);
}
END_TEST

/* Requests before the first claim: a count of each area, and the list of incoming/. */
#define FIRST_CLAIM (SPOOL_N_AREAS + 2)

START_TEST(a_storage_that_dies_in_a_claim_costs_no_spec)
{
	for (int is_late = 0; is_late <= 1; is_late++) {
		killer_arm(FIRST_CLAIM, is_late);
		make_file(incoming_fd, "a.json", "{}");
		open_spool();
		wait_until(is_idle);
		ck_assert(killer_has_struck());
		ck_assert_uint_eq(taken.n, 1);
		ck_assert_ptr_null(spool_problem(spool));
		ck_assert_int_eq(count_entries(incoming_fd), 0);
		ck_assert_int_eq(count_entries(active_fd), 1);
		ck_assert_int_eq(count_entries(jobs_fd), 1);
		teardown();
		setup();
	}
}
END_TEST

static int count_refused(void)
{
	const struct dirent *entry;
	int n = 0;
	DIR *dir = fdopendir(openat(invalid_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	ck_assert_ptr_nonnull(dir);
	while ((entry = readdir(dir))) {
		n += entry->d_name[0] != '.' && !str_ends_with(entry->d_name, ".error.json");
	}
	closedir(dir);
	return n;
}

START_TEST(a_storage_that_dies_elsewhere_is_asked_again)
{
	/* The list; then explaining, and moving to invalid/, twice each. */
	for (unsigned n = FIRST_CLAIM - 1; n < FIRST_CLAIM + 3; n++) {
		for (int is_late = 0; is_late <= 1 && n != FIRST_CLAIM; is_late++) {
			killer_arm(n, is_late);
			ck_assert_int_eq(symlinkat("x", incoming_fd, "a.json"), 0);
			open_spool();
			wait_until(has_no_problem);
			ck_assert(killer_has_struck());
			ck_assert_int_eq(count_entries(incoming_fd), 0);
			ck_assert_int_eq(count_refused(), 1);
			teardown();
			setup();
		}
	}
}
END_TEST

START_TEST(a_read_only_spool_is_named_and_left_when_it_ends)
{
	char path[64];
	snprintf(path, sizeof(path), "%s/spool", fixture.tree.path);
	make_file(incoming_fd, "a.json", "{}");
	if (mount(path, path, NULL, MS_BIND, NULL) < 0) {
		return; /* needs root */
	}
	ck_assert_int_eq(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	fd_close(spool_fd);
	spool_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* done/ and failed/ do not exist and can't be made: say so at once. */
	struct spool_options options = {
		.spool_dir_fd = spool_fd, .jobs_dir_fd = jobs_fd, .storage = fixture.storage};
	ck_assert_int_eq(spool_new(fixture.loop, &options, &spool), -EROFS);
	ck_assert_int_eq(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT, NULL), 0);
	fd_close(spool_open_area(spool_fd, SPOOL_DONE));
	fd_close(spool_open_area(spool_fd, SPOOL_FAILED));
	ck_assert_int_eq(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY, NULL), 0);
	open_spool();
	wait_until(has_problem);
	ck_assert_ptr_nonnull(strstr(spool_problem(spool), "Read-only"));
	ck_assert(spool_is_scanned(spool));
	ck_assert_int_eq(mount(NULL, path, NULL, MS_BIND | MS_REMOUNT, NULL), 0);
	wait_until(has_no_problem);
	ck_assert_uint_eq(taken.n, 1);
	ck_assert_int_eq(count_entries(jobs_fd), 1);
	spool = spool_free(spool);
	fd_close(spool_fd);
	spool_fd = -1;
	ck_assert_int_eq(umount2(path, MNT_DETACH), 0);
}
END_TEST

START_TEST(a_directory_that_was_exchanged_is_found_again)
{
	open_spool();
	wait_until(is_idle);
	ck_assert_int_eq(renameat(spool_fd, "incoming", spool_fd, "aside"), 0);
	int fresh = make_dir(spool_fd, "incoming");
	make_file(fresh, "a.json", "{}");
	spool_rescan(spool);
	wait_for_taken(1);
	make_file(fresh, "b.json", "{}");
	wait_for_taken(2);
	fd_close(fresh);
}
END_TEST

START_TEST(a_spool_may_be_freed_in_the_midst_of_a_claim)
{
	make_file(incoming_fd, "a.json", "{}");
	open_spool();
	ck_assert_int_eq(loop_timer_arm(deadline, 0), 0);
	ck_assert_int_eq(loop_run(fixture.loop), 1);
	spool = spool_free(spool);
	/* The storage answers, and no one is called. */
	ask(request_of(STORAGE_SYNC_DIR, NULL, NULL), &fixture.dir_fd, 1);
	ck_assert_uint_eq(taken.n, 0);
}
END_TEST

int main(int argc, char **argv)
{
	if (argc > 1) {
		return storage_main(argc - 2, argv + 2);
	}
	const TTest *tests[] = {
		what_lay_there_is_taken_by_age,
		a_spec_is_taken_when_it_is_dropped,
		files_that_are_no_specs_are_left_alone,
		specs_that_are_stuck_do_not_hold_up_others,
		a_half_written_spec_waits_for_its_writer,
		what_is_no_spec_is_moved_to_invalid_with_its_reason,
		an_invalid_spec_leaves_no_job_behind,
		an_invalid_spec_may_have_the_longest_name,
		too_large_a_spec_is_refused,
		only_allowed_users_are_served,
		one_name_may_come_again_and_again,
		five_thousand_specs_at_once_are_all_taken,
		what_waits_does_not_put_off_the_start,
		the_areas_are_counted,
		the_place_with_the_least_room_stands_for_its_area,
		a_storage_that_dies_in_a_claim_costs_no_spec,
		a_storage_that_dies_elsewhere_is_asked_again,
		a_read_only_spool_is_named_and_left_when_it_ends,
		a_directory_that_was_exchanged_is_found_again,
		a_spool_may_be_freed_in_the_midst_of_a_claim,
	};
	return unit_run("spool", tests, ARRAY_SIZE(tests), setup, teardown);
}
