/* SPDX-License-Identifier: MIT */
#include "daemon/http/host.h"

#include <string.h>
#include <unistd.h>

#include "tests/support/unit.h"

static struct host_list list;

static void set_up(void)
{
	char name[] = "etl.Example";
	char *names[] = {name};

	ck_assert_int_eq(host_list_init(&list, names, 1), 0);
}

START_TEST(addresses_and_known_names_are_ours_at_any_port)
{
	static const char *const ours[] = {"localhost",	  "LocalHost",	   "localhost:9917",
					   "127.0.0.1",	  "127.0.0.1:80",  "192.168.1.2:9917",
					   "[::1]",	  "[::1]:9917",	   "[fe80::1]:65535",
					   "etl.example", "ETL.EXAMPLE:1", "localhost:"};
	char name[256] = "";

	set_up();
	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		ck_assert_msg(host_list_has(&list, ours[i]), "%s", ours[i]);
	}
	ck_assert_int_eq(gethostname(name, sizeof(name) - 1), 0);
	ck_assert(host_list_has(&list, name));
	host_list_deinit(&list);
}
END_TEST

START_TEST(all_else_is_not)
{
	static const char *const others[] = {"",
					     "evil.example",
					     "localhost.evil",
					     "127.0.0.1.evil",
					     "127.0.0",
					     "127.1",
					     "localhost:80:80",
					     "localhost:x",
					     "localhost:123456",
					     "::1",
					     "[::1",
					     "[::1]x",
					     "[127.0.0.1]",
					     "[localhost]",
					     "localhost ",
					     " localhost",
					     "xlocalhost",
					     "example",
					     "[]",
					     "etl.example.",
					     "0x7f.0.0.1",
					     "localhost:80, evil"};
	char longest[1024];

	set_up();
	for (size_t i = 0; i < ARRAY_SIZE(others); i++) {
		ck_assert_msg(!host_list_has(&list, others[i]), "%s", others[i]);
	}
	memset(longest, '1', sizeof(longest));
	longest[sizeof(longest) - 1] = '\0';
	ck_assert(!host_list_has(&list, longest));
	host_list_deinit(&list);
}
END_TEST

UNIT_MAIN(addresses_and_known_names_are_ours_at_any_port, all_else_is_not)
