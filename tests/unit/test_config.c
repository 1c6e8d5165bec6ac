/* SPDX-License-Identifier: MIT */
#include "daemon/core/config.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/fd.h"
#include "daemon/core/config_key.h"
#include "tests/support/unit.h"

/* A file of its own for each test, in a folder of its own: the configuration's must be no root. */
static char folder[64];
static char file[96];

static void setup(void)
{
	snprintf(folder, sizeof(folder), "/tmp/test_config.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(file, sizeof(file), "%s/zooparalleld.conf", folder);
}

static void teardown(void)
{
	unlink(file);
	rmdir(folder);
}

static void write_file(const char *text)
{
	FILE *stream = fopen(file, "we");

	ck_assert_ptr_nonnull(stream);
	ck_assert_int_ge(fputs(text, stream), 0);
	ck_assert_int_eq(fclose(stream), 0);
}

static struct config *load(const char *path, const char *override)
{
	struct config *config = NULL;
	struct config_error error = {0};
	char *overrides[] = {(char *)(uintptr_t) override};
	int r = config_load(path, overrides, override ? 1 : 0, &config, &error);

	ck_assert_msg(r == 0, "%s", error.message);
	return config;
}

static struct config *load_text(const char *text)
{
	write_file(text);
	return load(file, NULL);
}

/* The message, without "FILE:" in front of it. */
static const char *message_of_text(const char *text)
{
	static struct config_error error;
	struct config *config = NULL;

	write_file(text);
	ck_assert_int_eq(config_load(file, NULL, 0, &config, &error), -EINVAL);
	ck_assert_ptr_null(config);
	ck_assert_msg(strncmp(error.message, file, strlen(file)) == 0, "%s", error.message);
	return error.message + strlen(file) + 1;
}

static const char *message_of_override(const char *override)
{
	static struct config_error error;
	struct config *config = NULL;
	char *overrides[] = {(char *)(uintptr_t) override};

	ck_assert_int_eq(config_load(NULL, overrides, 1, &config, &error), -EINVAL);
	ck_assert_ptr_null(config);
	return error.message;
}

START_TEST(without_a_file_everything_has_its_default)
{
	CLEANUP(config_freep) struct config *config = load(NULL, NULL);

	ck_assert_uint_eq(config->data_roots.n_items, 1);
	ck_assert_str_eq(config->data_roots.items[0], "/srv/zooparallel");
	ck_assert_str_eq(config->spool_dir, "/var/spool/zooparallel");
	ck_assert_str_eq(config->state_dir, "/var/lib/zooparallel");
	ck_assert_str_eq(config->run_dir, "/run/zooparallel");
	ck_assert_uint_eq(config->hook_dirs.n_items, 0);
	ck_assert_str_eq(config->listen.host, "127.0.0.1");
	ck_assert_uint_eq(config->listen.port, 9917);
	ck_assert_uint_eq(config->allowed_hosts.n_items, 0);
	ck_assert(!config->expose_rows);
	ck_assert_uint_eq(config->max_jobs, 4);
	ck_assert_uint_eq(config->max_workers, (uint64_t)sysconf(_SC_NPROCESSORS_ONLN));
	ck_assert_uint_eq(config->chunk_size_bytes, 524288);
	ck_assert_int_eq(config->checkpoint_interval_ns, 5000000000);
	ck_assert_int_eq(config->poll_interval_ns, 10000000);
	ck_assert_int_eq(config->retention_ns, INT64_C(7) * 86400 * 1000000000);
	ck_assert(config_is_user_allowed(config, 0));
	ck_assert(config_is_user_allowed(config, geteuid()));
	ck_assert(!config_is_user_allowed(config, 54321));
}
END_TEST

START_TEST(the_file_and_then_the_command_line_win)
{
	CLEANUP(config_freep) struct config *config = NULL;
	struct config_error error;
	char *overrides[] = {(char[]){"max_jobs=7"}, (char[]){"data_roots=/x/./y, /z"},
			     (char[]){"max_jobs=8"}};

	write_file("max_jobs = 2\n"
		   "max_workers = 3 # why not\n"
		   "data_roots = {\"/a\", '/b//c/'}\n"
		   "allowed_users = {54321, root}\n"
		   "chunk_size = 1B\n"
		   "retention = 0s\n"
		   "expose_rows = true\n");
	ck_assert_int_eq(config_load(file, overrides, 3, &config, &error), 0);
	ck_assert_uint_eq(config->max_jobs, 8);
	ck_assert_uint_eq(config->max_workers, 3);
	ck_assert_uint_eq(config->data_roots.n_items, 2);
	ck_assert_str_eq(config->data_roots.items[0], "/x/y");
	ck_assert_str_eq(config->data_roots.items[1], "/z");
	ck_assert(config_is_user_allowed(config, 54321));
	ck_assert_uint_eq(config->chunk_size_bytes, 1);
	ck_assert_int_eq(config->retention_ns, 0);
	ck_assert(config->expose_rows);
}
END_TEST

START_TEST(the_daemons_own_user_is_always_allowed)
{
	CLEANUP(config_freep) struct config *config = load(NULL, "allowed_users=54321");

	ck_assert(config_is_user_allowed(config, 54321));
	ck_assert(config_is_user_allowed(config, geteuid()));
	ck_assert(!config_is_user_allowed(config, geteuid() + 1));
}
END_TEST

START_TEST(an_empty_file_changes_nothing)
{
	config_free(load_text(""));
	config_free(load_text("\n"));
	config_free(load_text("# nothing"));
}
END_TEST

START_TEST(an_address_is_a_host_and_a_port)
{
	static const struct {
		const char *override;
		const char *host;
		unsigned port;
	} addresses[] = {
		{"listen=[::1]:9917", "::1", 9917},
		{"listen=0.0.0.0:0", "0.0.0.0", 0},
		{"listen=localhost:65535", "localhost", 65535},
		{"listen=", "", 0},
	};

	for (size_t i = 0; i < ARRAY_SIZE(addresses); i++) {
		CLEANUP(config_freep) struct config *config = load(NULL, addresses[i].override);

		ck_assert_str_eq(config->listen.host, addresses[i].host);
		ck_assert_uint_eq(config->listen.port, addresses[i].port);
	}
}
END_TEST

START_TEST(a_mistake_in_the_file_is_named_with_its_line)
{
	static const char *const mistakes[][2] = {
		{"\n\nmax_job = 2\n", "3: no such option 'max_job' (did you mean \"max_jobs\"?)"},
		{"# a\nzebra = 2\n", "2: no such option 'zebra'"},
		{"max_jobs = 0\n", "1: max_jobs: \"0\" is not a number from 1 to 1024"},
		{"\nmax_jobs = many\n", "2: max_jobs: \"many\" is not a number from 1 to 1024"},
		{"\n\n\nchunk_size = 65MiB\n", "4: chunk_size: \"65MiB\" is not a size from"},
		{"poll_interval = 1us\n", "1: poll_interval: \"1us\" is not a duration from 1 ms"},
		{"expose_rows = maybe\n", "1: expose_rows: \"maybe\" is neither true nor false"},
		{"data_roots = {\"/a\",\n\"b\"}\n", "2: data_roots: \"b\" is not an absolute path"},
		{"spool_dir = \"/a/../b\"\n",
		 "1: spool_dir: \"/a/../b\" must not have \"..\" in it"},
		{"spool_dir = \"\"\n", "1: spool_dir: \"\" is not an absolute path"},
		{"listen = \"::1:9917\"\n", "1: listen: \"::1:9917\" is not \"HOST:PORT\""},
		{"listen = \"9917\"\n", "1: listen: \"9917\" is not \"HOST:PORT\""},
		{"listen = \":9917\"\n", "1: listen: \":9917\" is not \"HOST:PORT\""},
		{"listen = \"a:65536\"\n", "1: listen: \"a:65536\" is not \"HOST:PORT\""},
		{"listen = \"[]:1\"\n", "1: listen: \"[]:1\" is not \"HOST:PORT\""},
		{"allowed_users = {\"no-such-user-here\"}\n",
		 "1: allowed_users: there is no user \"no-such-user-here\""},
		{"allowed_hosts = {\"\"}\n", "1: allowed_hosts: an item is empty"},
		{"hook_dirs = {\"hooks\"}\n", "1: hook_dirs: \"hooks\" is not an absolute path"},
		{"max_jobs = {1, 2}\n", "1: "},
		{"max_jobs 3\n", "1: "},
		{"max_jobs = \"3\n", ""},
	};

	for (size_t i = 0; i < ARRAY_SIZE(mistakes); i++) {
		const char *message = message_of_text(mistakes[i][0]);

		ck_assert_msg(strncmp(message, mistakes[i][1], strlen(mistakes[i][1])) == 0,
			      "\"%s\" instead of \"%s\"", message, mistakes[i][1]);
	}
}
END_TEST

START_TEST(a_comment_starts_outside_quotes_only)
{
	CLEANUP(config_freep)
	struct config *config = load_text("allowed_hosts = {\"a#b\", 'c#', # it's \"one\n"
					  " \"d\\\"#\"} # end");

	ck_assert_uint_eq(config->allowed_hosts.n_items, 3);
	ck_assert_str_eq(config->allowed_hosts.items[0], "a#b");
	ck_assert_str_eq(config->allowed_hosts.items[1], "c#");
	ck_assert_str_eq(config->allowed_hosts.items[2], "d\"#");
}
END_TEST

START_TEST(a_mistake_on_the_command_line_is_named_with_its_text)
{
	ck_assert_str_eq(message_of_override("chunksize=1"),
			 "--set chunksize=1: unknown key (did you mean \"chunk_size\"?)");
	ck_assert_str_eq(message_of_override("zebra=1"), "--set zebra=1: unknown key");
	ck_assert_str_eq(message_of_override("max_jobs"), "--set max_jobs: must be KEY=VALUE");
	ck_assert_str_eq(message_of_override("max_jobs=-1"),
			 "--set max_jobs=-1: \"-1\" is not a number from 1 to 1024");
	ck_assert_str_eq(message_of_override("data_roots="), "data_roots: at least one is needed");
	ck_assert_str_eq(message_of_override("data_roots=/a,,/b"),
			 "--set data_roots=/a,,/b: \"\" is not an absolute path");
}
END_TEST

START_TEST(a_file_that_cannot_be_read_is_named)
{
	struct config *config = NULL;
	struct config_error error;

	ck_assert_int_eq(config_load("/nonexistent/z.conf", NULL, 0, &config, &error), -ENOENT);
	ck_assert_str_eq(error.message, "/nonexistent/z.conf: No such file or directory");
	ck_assert_int_eq(config_load("/tmp", NULL, 0, &config, &error), -EISDIR);
	ck_assert_int_eq(config_load("/dev/zero", NULL, 0, &config, &error), -EFBIG);
	ck_assert_ptr_null(config);
}
END_TEST

START_TEST(directories_that_contain_one_another_are_refused_by_name)
{
	static const char *const overrides[][2] = {
		{"spool_dir=/srv/zooparallel/spool", "spool_dir (/srv/zooparallel/spool)"},
		{"data_roots=/var", "data_roots (/var)"},
		{"state_dir=/var/spool/zooparallel", "state_dir (/var/spool/zooparallel)"},
		{"hook_dirs=/srv", "hook_dirs (/srv)"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(overrides); i++) {
		const char *message = message_of_override(overrides[i][0]);

		ck_assert_msg(strstr(message, overrides[i][1]) && strstr(message, "overlap"), "%s",
			      message);
	}
	config_free(load(NULL, "data_roots=/srv/a,/srv/a/b,/srv/a"));
	config_free(load(NULL, "data_roots=/var/lib/zooparallel2"));
}
END_TEST

START_TEST(a_symbolic_link_hides_no_overlap)
{
	struct config *config = NULL;
	struct config_error error;
	char roots[128];
	char spool[128];
	char *overrides[] = {roots, spool};
	const char *target = roots + strlen("data_roots=");
	const char *link_path = spool + strlen("spool_dir=");

	snprintf(roots, sizeof(roots), "data_roots=%s/data", folder);
	snprintf(spool, sizeof(spool), "spool_dir=%s/link", folder);
	ck_assert_int_eq(mkdir(target, 0700), 0);
	ck_assert_int_eq(symlink(target, link_path), 0);
	ck_assert_int_eq(config_load(NULL, overrides, 2, &config, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.message, "overlap"));
	unlink(link_path);
	rmdir(target);
}
END_TEST

START_TEST(the_configuration_may_not_lie_in_a_data_root)
{
	struct config *config = NULL;
	struct config_error error;
	char override[128];
	char *overrides[] = {override};

	snprintf(override, sizeof(override), "data_roots=%s", folder);
	write_file("");
	ck_assert_int_eq(config_load(file, overrides, 1, &config, &error), -EINVAL);
	ck_assert_ptr_nonnull(strstr(error.message, "the configuration file"));
}
END_TEST

START_TEST(a_run_directory_leaves_room_for_a_socket)
{
	char override[200] = "run_dir=/";
	size_t prefix = strlen("run_dir=");

	memset(override + prefix + 1, 'r', 94);
	override[prefix + 95] = '\0';
	ck_assert_ptr_nonnull(
		strstr(message_of_override(override), "run_dir: longer than 94 bytes"));
	override[prefix + 94] = '\0';
	config_free(load(NULL, override));
}
END_TEST

START_TEST(a_reload_changes_what_may_change_only)
{
	CLEANUP(config_freep) struct config *config = load(NULL, "max_jobs=1");
	CLEANUP(config_freep)
	struct config *fresh = load_text("max_jobs = 9\n"
					 "allowed_hosts = {\"zoo\"}\n"
					 "spool_dir = \"/elsewhere\"\n");

	config_adopt(config, fresh);
	ck_assert_uint_eq(config->max_jobs, 9);
	ck_assert_uint_eq(config->allowed_hosts.n_items, 1);
	ck_assert_str_eq(config->spool_dir, "/var/spool/zooparallel");
	ck_assert_uint_eq(fresh->max_jobs, 1);
}
END_TEST

#define CONF_FILE "conf/zooparalleld.conf"

static char *read_shipped_file(void)
{
	CLEANUP(buf_deinit) struct buf text = BUF_INIT;
	int fd = open(CONF_FILE, O_RDONLY | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %m", CONF_FILE);
	ck_assert_int_eq(fd_read_all(fd, 1 << 20, &text), 0);
	fd_close(fd);
	return buf_take(&text);
}

static bool fields_equal(const struct config *a, const struct config *b,
			 const struct config_key *key)
{
	const char *left = (const char *)a + key->offset;
	const char *right = (const char *)b + key->offset;
	const struct config_list *lists[] = {(const void *)left, (const void *)right};

	if (key->set == config_key_find("spool_dir")->set) {
		return strcmp(*(char *const *)left, *(char *const *)right) == 0;
	}
	if (key->set == config_key_find("listen")->set) {
		return strcmp(a->listen.host, b->listen.host) == 0 &&
		       a->listen.port == b->listen.port;
	}
	if (key->set == config_key_find("allowed_users")->set) {
		return a->allowed_users.n_uids == b->allowed_users.n_uids &&
		       memcmp(a->allowed_users.uids, b->allowed_users.uids,
			      a->allowed_users.n_uids * sizeof(uid_t)) == 0;
	}
	if (!key->is_list) {
		return memcmp(left, right, key->size) == 0;
	}
	for (size_t i = 0; i < lists[0]->n_items && lists[0]->n_items == lists[1]->n_items; i++) {
		if (strcmp(lists[0]->items[i], lists[1]->items[i]) != 0) {
			return false;
		}
	}
	return lists[0]->n_items == lists[1]->n_items;
}

/* Something else than the default, so that a line that sets the default is seen to do it. */
static const char *other_value(const struct config_key *key)
{
	static const char *const others[][2] = {
		{"data_roots", "/other"},   {"spool_dir", "/o/spool"},
		{"state_dir", "/o/state"},  {"run_dir", "/o/run"},
		{"hook_dirs", "/o/hooks"},  {"listen", "other:1"},
		{"allowed_hosts", "other"}, {"expose_rows", "true"},
		{"max_jobs", "77"},	    {"max_workers", "77"},
		{"chunk_size", "77"},	    {"checkpoint_interval", "7s"},
		{"poll_interval", "7s"},    {"retention", "77s"},
		{"allowed_users", "54321"},
	};

	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		if (strcmp(others[i][0], key->name) == 0) {
			return others[i][1];
		}
	}
	ck_abort_msg("no other value for %s", key->name);
}

START_TEST(the_shipped_file_has_every_key_with_its_default)
{
	CLEANUP(free_p) char *shipped = read_shipped_file();
	CLEANUP(config_freep) struct config *defaults = load(NULL, NULL);

	for (const struct config_key *key = config_keys; key->name; key++) {
		struct config_error error = {0};
		struct config *config;
		char marker[64];
		char *line;

		snprintf(marker, sizeof(marker), "\n#%s = ", key->name);
		line = strstr(shipped, marker);
		ck_assert_msg(line, "%s is not in %s", key->name, CONF_FILE);
		ck_assert_msg(!strstr(line + 1, marker), "%s is there twice", key->name);
		line[1] = ' ';
		config = load_text(shipped);
		line[1] = '#';
		ck_assert_msg(fields_equal(config, defaults, key), "%s has another default",
			      key->name);
		ck_assert_int_eq(config_key_set_text(key, other_value(key), config, &error), 0);
		ck_assert_msg(!fields_equal(config, defaults, key), "%s is not compared",
			      key->name);
		config_free(config);
	}
}
END_TEST

/* Its "[reload]" marks are those of the table. */
START_TEST(the_shipped_file_says_what_can_be_reloaded)
{
	CLEANUP(free_p) char *shipped = read_shipped_file();

	for (const struct config_key *key = config_keys; key->name; key++) {
		char marker[64];
		char *line;
		char *paragraph;

		snprintf(marker, sizeof(marker), "\n#%s = ", key->name);
		line = strstr(shipped, marker);
		ck_assert_ptr_nonnull(line);
		*line = '\0';
		paragraph = shipped;
		for (char *at = shipped; (at = strstr(at, "\n\n")); at++) {
			paragraph = at;
		}
		ck_assert_msg(!strstr(paragraph, "[reload]") == !key->is_reloadable, "%s",
			      key->name);
		*line = '\n';
	}
}
END_TEST

START_TEST(the_shipped_file_parses_with_every_line_uncommented)
{
	CLEANUP(free_p) char *shipped = read_shipped_file();
	size_t n_lines = 0;

	for (char *at = shipped; (at = strstr(at, "\n#")); at++) {
		if (at[2] != ' ' && at[2] != '\n') {
			at[1] = ' ';
			n_lines++;
		}
	}
	ck_assert_uint_eq(n_lines, 15);
	config_free(load_text(shipped));
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("config");
	TCase *tcase = tcase_create("config");
	SRunner *runner = srunner_create(suite);
	int n_failed;

	suite_add_tcase(suite, tcase);
	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_test(tcase, without_a_file_everything_has_its_default);
	tcase_add_test(tcase, the_file_and_then_the_command_line_win);
	tcase_add_test(tcase, the_daemons_own_user_is_always_allowed);
	tcase_add_test(tcase, an_empty_file_changes_nothing);
	tcase_add_test(tcase, an_address_is_a_host_and_a_port);
	tcase_add_test(tcase, a_mistake_in_the_file_is_named_with_its_line);
	tcase_add_test(tcase, a_comment_starts_outside_quotes_only);
	tcase_add_test(tcase, a_mistake_on_the_command_line_is_named_with_its_text);
	tcase_add_test(tcase, a_file_that_cannot_be_read_is_named);
	tcase_add_test(tcase, directories_that_contain_one_another_are_refused_by_name);
	tcase_add_test(tcase, a_symbolic_link_hides_no_overlap);
	tcase_add_test(tcase, the_configuration_may_not_lie_in_a_data_root);
	tcase_add_test(tcase, a_run_directory_leaves_room_for_a_socket);
	tcase_add_test(tcase, a_reload_changes_what_may_change_only);
	tcase_add_test(tcase, the_shipped_file_has_every_key_with_its_default);
	tcase_add_test(tcase, the_shipped_file_says_what_can_be_reloaded);
	tcase_add_test(tcase, the_shipped_file_parses_with_every_line_uncommented);
	srunner_run_all(runner, CK_ENV);
	n_failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
