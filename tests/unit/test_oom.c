/* SPDX-License-Identifier: MIT */
/* Which deaths are taken for the kernel's doing, by a count that the test keeps itself. */
#include "daemon/sched/oom.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/clock.h"
#include "common/util/fd.h"
#include "tests/support/unit.h"

static struct oom oom;
static int file_fd;
static int64_t now_ns = 1000 * CLOCK_NS_PER_SEC;

static void set_text(const char *text)
{
	ck_assert_int_eq(ftruncate(file_fd, 0), 0);
	ck_assert_int_eq(fd_pwrite_all(file_fd, text, strlen(text), 0), 0);
}

static void set_count(unsigned count)
{
	char text[128];

	snprintf(text, sizeof(text), "low 7\noom 9\noom_kill %u\noom_group_kill 3\n", count);
	set_text(text);
}

static void setup(void)
{
	file_fd = fd_memfd("count", "", 0);
	ck_assert_int_ge(file_fd, 0);
	int fd = fcntl(file_fd, F_DUPFD_CLOEXEC, 3);
	set_count(5);
	oom_init_with(&oom, fd);
}

static void teardown(void)
{
	oom_deinit(&oom);
	fd_close(file_fd);
}

static void look_after(int64_t elapsed_ns)
{
	now_ns += elapsed_ns;
	oom_look(&oom, now_ns);
}

START_TEST(each_kill_that_is_counted_is_one_death)
{
	ck_assert(!oom_claim(&oom));
	set_count(7);
	ck_assert(oom_claim(&oom));
	ck_assert(oom_claim(&oom));
	ck_assert(!oom_claim(&oom));
}
END_TEST

START_TEST(a_look_between_kill_and_death_takes_nothing_away)
{
	look_after(CLOCK_NS_PER_SEC);
	look_after(CLOCK_NS_PER_SEC);
	set_count(6);
	look_after(CLOCK_NS_PER_SEC);
	ck_assert(oom_claim(&oom));
	ck_assert(!oom_claim(&oom));
}
END_TEST

START_TEST(a_kill_that_nobody_claims_is_a_strangers)
{
	look_after(CLOCK_NS_PER_SEC);
	set_count(6);
	look_after(CLOCK_NS_PER_SEC);
	look_after(CLOCK_NS_PER_SEC);
	ck_assert(!oom_claim(&oom));
	set_count(8);
	look_after(3600 * CLOCK_NS_PER_SEC);
	ck_assert(!oom_claim(&oom));
}
END_TEST

START_TEST(a_count_that_cannot_be_read_claims_nothing)
{
	static const char *const texts[] = {"",
					    "oom_kill\n",
					    "oom_kill x\n",
					    "oom 99\n",
					    "oom_kill 99999999999999999999999\n",
					    "xoom_kill 99\n"};

	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		set_text(texts[i]);
		ck_assert_msg(!oom_claim(&oom), "%s", texts[i]);
		look_after(CLOCK_NS_PER_SEC);
	}
	set_count(6);
	ck_assert(oom_claim(&oom));
}
END_TEST

START_TEST(without_a_count_nothing_is_claimed)
{
	struct oom none;

	oom_init_with(&none, -1);
	oom_look(&none, now_ns);
	ck_assert(!oom_claim(&none));
	oom_deinit(&none);
}
END_TEST

START_TEST(this_machine_has_a_count)
{
	struct oom own;

	oom_init(&own);
	ck_assert_int_ge(own.fd, 0);
	ck_assert(!oom_claim(&own));
	oom_deinit(&own);
}
END_TEST

UNIT_MAIN_WITH(setup, teardown, each_kill_that_is_counted_is_one_death,
	       a_look_between_kill_and_death_takes_nothing_away,
	       a_kill_that_nobody_claims_is_a_strangers, a_count_that_cannot_be_read_claims_nothing,
	       without_a_count_nothing_is_claimed, this_machine_has_a_count)
