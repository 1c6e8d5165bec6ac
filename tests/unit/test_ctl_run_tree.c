/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/run_tree.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/str.h"
#include "tests/support/unit.h"

/* A folder for the bases and data roots of one test. */
static char top[] = "/tmp/test_ctl_run_tree-XXXXXX";

static void make_top(void)
{
	ck_assert_ptr_nonnull(mkdtemp(top));
	ck_assert_int_eq(unsetenv("XDG_RUNTIME_DIR"), 0);
	ck_assert_int_eq(setenv("TMPDIR", top, 1), 0);
}

/* The tests leave only what they made here, in the end an empty folder. */
static void remove_top(void)
{
	ck_assert_int_eq(rmdir(top), 0);
}

static bool exists(const char *path)
{
	struct stat status;

	return lstat(path, &status) == 0;
}

START_TEST(a_tree_is_private_and_goes_with_all_that_is_in_it)
{
	CLEANUP(run_tree_remove) struct run_tree tree = RUN_TREE_INIT;
	char path[RUN_TREE_PATH_SIZE];
	struct stat status;
	FILE *file;

	ck_assert_int_eq(run_tree_make("/nowhere", &tree), 0);
	ck_assert(str_starts_with(tree.path, top));
	ck_assert_int_eq(stat(tree.path, &status), 0);
	ck_assert_int_eq(status.st_mode & 07777, 0700);
	file = fopen(run_tree_path(&tree, "state/left", path), "we");
	ck_assert_ptr_nonnull(file);
	ck_assert_int_eq(fclose(file), 0);
	snprintf(path, sizeof(path), "%s", tree.path);
	run_tree_remove(&tree);
	ck_assert(!exists(path));
}
END_TEST

START_TEST(removing_a_tree_does_not_follow_links_out_of_it)
{
	CLEANUP(run_tree_remove) struct run_tree tree = RUN_TREE_INIT;
	char link[RUN_TREE_PATH_SIZE], folder[PATH_MAX], precious[PATH_MAX];

	snprintf(folder, sizeof(folder), "%s/folder", top);
	snprintf(precious, sizeof(precious), "%s/folder/precious", top);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	ck_assert_int_eq(mkdir(precious, 0700), 0);
	ck_assert_int_eq(run_tree_make("/nowhere", &tree), 0);
	ck_assert_int_eq(symlink(folder, run_tree_path(&tree, "state/link", link)), 0);
	run_tree_remove(&tree);
	ck_assert(exists(precious));
	ck_assert_int_eq(rmdir(precious), 0);
	ck_assert_int_eq(rmdir(folder), 0);
}
END_TEST

START_TEST(a_tree_is_never_made_inside_the_data_root)
{
	CLEANUP(run_tree_remove) struct run_tree tree = RUN_TREE_INIT;

	ck_assert_int_eq(run_tree_make(top, &tree), 0);
	ck_assert(!str_starts_with(tree.path, top));
}
END_TEST

START_TEST(a_data_root_that_holds_everything_is_told_apart)
{
	struct run_tree tree = RUN_TREE_INIT;

	ck_assert_int_eq(run_tree_make("/", &tree), -EXDEV);
	ck_assert_str_eq(tree.path, "");
}
END_TEST

START_TEST(a_base_too_deep_for_a_socket_is_passed_over)
{
	CLEANUP(run_tree_remove) struct run_tree tree = RUN_TREE_INIT;
	char deep[PATH_MAX];

	snprintf(deep, sizeof(deep), "%s/%070d", top, 0);
	ck_assert_int_eq(mkdir(deep, 0700), 0);
	ck_assert_int_eq(setenv("XDG_RUNTIME_DIR", deep, 1), 0);
	ck_assert_int_eq(run_tree_make("/nowhere", &tree), 0);
	ck_assert(!str_starts_with(tree.path, deep));
	ck_assert_int_eq(rmdir(deep), 0);
}
END_TEST

START_TEST(the_trees_of_the_dead_are_swept_and_no_others)
{
	CLEANUP(run_tree_remove) struct run_tree alive = RUN_TREE_INIT;
	struct run_tree dead = RUN_TREE_INIT;
	char other[PATH_MAX];

	ck_assert_int_eq(run_tree_make("/nowhere", &alive), 0);
	ck_assert_int_eq(run_tree_make("/nowhere", &dead), 0);
	fd_close(dead.lock_fd);
	snprintf(other, sizeof(other), "%s/zooparallel-abcdef", top);
	ck_assert_int_eq(mkdir(other, 0700), 0);
	run_tree_sweep();
	ck_assert(exists(alive.path));
	ck_assert(!exists(dead.path));
	ck_assert(exists(other));
	ck_assert_int_eq(rmdir(other), 0);
}
END_TEST

START_TEST(a_spec_gets_a_name_that_the_spool_takes)
{
	static const struct {
		const char *given, *expected;
	} names[] = {
		{"users.json", "spool/incoming/users.json"},
		{".users.json", "spool/incoming/users.json"},
		{"users.tmp", "spool/incoming/users.tmp.json"},
		{"...", "spool/incoming/spec.json"},
	};
	CLEANUP(run_tree_remove) struct run_tree tree = RUN_TREE_INIT;
	char path[RUN_TREE_PATH_SIZE];

	ck_assert_int_eq(run_tree_make("/nowhere", &tree), 0);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		ck_assert_int_eq(run_tree_drop_spec(&tree, names[i].given, "{}", 2), 0);
		ck_assert_msg(exists(run_tree_path(&tree, names[i].expected, path)), "%s",
			      names[i].given);
		ck_assert_int_eq(unlink(path), 0);
	}
}
END_TEST

UNIT_MAIN_WITH(make_top, remove_top, a_tree_is_private_and_goes_with_all_that_is_in_it,
	       removing_a_tree_does_not_follow_links_out_of_it,
	       a_tree_is_never_made_inside_the_data_root,
	       a_data_root_that_holds_everything_is_told_apart,
	       a_base_too_deep_for_a_socket_is_passed_over,
	       the_trees_of_the_dead_are_swept_and_no_others,
	       a_spec_gets_a_name_that_the_spool_takes)
