/* SPDX-License-Identifier: MIT */
#include "common/model/data_path.h"

#include <check.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "tests/support/unit.h"

static void check_normalised(const char *path, const char *expected)
{
	char *normal = NULL;

	ck_assert_int_eq(data_path_normalise(path, &normal), 0);
	ck_assert_str_eq(normal, expected);
	free(normal);
}

START_TEST(a_path_is_written_in_one_way)
{
	check_normalised("a", "a");
	check_normalised("./a//b/./c/", "a/b/c");
	check_normalised("/", "/");
	check_normalised("//a/.//b", "/a/b");
	check_normalised(".", ".");
	check_normalised("././/", ".");
	check_normalised("/./", "/");
	check_normalised(".hidden/...x/a.", ".hidden/...x/a.");
}
END_TEST

START_TEST(parents_and_nothing_are_refused)
{
	static const char *const paths[] = {"", "..", "../a", "a/..", "a/../b", "/..", "/a/..//b"};
	char *path = NULL;
	size_t root = 99;
	char *const roots[] = {(char[]){"/data"}};

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		ck_assert_int_eq(data_path_normalise(paths[i], &path), -EINVAL);
		ck_assert_int_eq(data_path_resolve(roots, 1, paths[i], &root, &path), -EINVAL);
	}
	ck_assert_ptr_null(path);
	ck_assert_uint_eq(root, 99);
}
END_TEST

START_TEST(a_path_has_the_length_of_a_path)
{
	char path[PATH_MAX + 1];
	char *normal = NULL;

	memset(path, 'a', sizeof(path));
	path[PATH_MAX] = '\0';
	ck_assert_int_eq(data_path_normalise(path, &normal), -ENAMETOOLONG);
	path[PATH_MAX - 1] = '\0';
	check_normalised(path, path);
}
END_TEST

static char *const roots[] = {(char[]){"/srv/data"}, (char[]){"/srv/data/deep"},
			      (char[]){"/srv/database/"}, (char[]){"/mnt//./in"}};

static void check_resolved(const char *path, size_t expected_root, const char *expected)
{
	char *relative = NULL;
	size_t root = 99;

	ck_assert_int_eq(data_path_resolve(roots, ARRAY_SIZE(roots), path, &root, &relative), 0);
	ck_assert_uint_eq(root, expected_root);
	ck_assert_str_eq(relative, expected);
	free(relative);
}

START_TEST(a_relative_path_belongs_to_the_first_root)
{
	check_resolved("a.csv", 0, "a.csv");
	check_resolved("./x//a.csv", 0, "x/a.csv");
	check_resolved("srv/database/a", 0, "srv/database/a");
}
END_TEST

START_TEST(an_absolute_path_belongs_to_the_longest_root)
{
	check_resolved("/srv/data/a.csv", 0, "a.csv");
	check_resolved("/srv/data/deep/a.csv", 1, "a.csv");
	check_resolved("/srv/data/deeper/a.csv", 0, "deeper/a.csv");
	check_resolved("/srv/database/x", 2, "x");
	check_resolved("//mnt/./in/x//y", 3, "x/y");
	check_resolved("/srv/data", 0, ".");
	check_resolved("/srv/data/deep/./", 1, ".");
}
END_TEST

START_TEST(a_path_outside_every_root_is_refused)
{
	static const char *const paths[] = {"/",	   "/srv",	"/srv/dat", "/srv/data2/x",
					    "/etc/passwd", "/srv/dataa"};
	char *relative = NULL;
	size_t root = 99;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		ck_assert_int_eq(
			data_path_resolve(roots, ARRAY_SIZE(roots), paths[i], &root, &relative),
			-EXDEV);
	}
	ck_assert_int_eq(data_path_resolve(roots, 0, "a", &root, &relative), -EXDEV);
	ck_assert_ptr_null(relative);
	ck_assert_uint_eq(root, 99);
}
END_TEST

START_TEST(the_whole_file_system_may_be_a_root)
{
	char *const whole[] = {(char[]){"/"}};
	char *relative = NULL;
	size_t root;

	ck_assert_int_eq(data_path_resolve(whole, 1, "/etc/passwd", &root, &relative), 0);
	ck_assert_str_eq(relative, "etc/passwd");
	free(relative);
}
END_TEST

START_TEST(paths_overlap_by_components)
{
	ck_assert(data_path_overlap("/a", "/a"));
	ck_assert(data_path_overlap("/a", "/a/b"));
	ck_assert(data_path_overlap("/a/b/c", "/a"));
	ck_assert(data_path_overlap("/", "/a"));
	ck_assert(data_path_overlap("/a/./b/", "//a/b/c"));
	ck_assert(!data_path_overlap("/a", "/ab"));
	ck_assert(!data_path_overlap("/a/b", "/a/c"));
	ck_assert(!data_path_overlap("/a/b", "/b"));
}
END_TEST

UNIT_MAIN(a_path_is_written_in_one_way, parents_and_nothing_are_refused,
	  a_path_has_the_length_of_a_path, a_relative_path_belongs_to_the_first_root,
	  an_absolute_path_belongs_to_the_longest_root, a_path_outside_every_root_is_refused,
	  the_whole_file_system_may_be_a_root, paths_overlap_by_components)
