/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A temporary folder, a loop and a storage process for unit tests. The process is the test program
 * itself: its main begins with `if (argc > 1) { return storage_main(argc - 2, argv + 2); }`.
 */
#include <signal.h>

#include "common/util/num.h"
#include "daemon/core/loop.h"
#include "daemon/core/storage.h"
#include "daemon/worker/storage_main.h"
#include "tests/support/tree.h"
#include "tests/support/unit.h"

struct fixture {
	struct tree tree;
	int dir_fd; /* of the tree */
	int program_fd;
	struct loop *loop;
	struct storage *storage;
};

static struct fixture fixture;

static inline void fixture_setup(void)
{
	tree_setup(&fixture.tree);
	fixture.dir_fd = fixture.tree.dir_fd;
	fixture.program_fd = open("/proc/self/exe", O_PATH | O_CLOEXEC);
	ck_assert_int_ge(fixture.program_fd, 0);
	ck_assert_int_eq(loop_new(&fixture.loop), 0);
	const struct storage_reach reach = {.fds = &fixture.dir_fd, .n_fds = 1};
	ck_assert_int_eq(storage_new(fixture.loop, fixture.program_fd, &reach, &fixture.storage),
			 0);
}

static inline void fixture_teardown(void)
{
	storage_free(fixture.storage);
	loop_free(fixture.loop);
	fd_close(fixture.program_fd);
	tree_teardown(&fixture.tree);
}

static inline void fixture_on_reply(void *userdata, const struct storage_reply *reply)
{
	*(struct storage_reply *)userdata = *reply;
	loop_exit(fixture.loop, 0);
}

/* Submits, runs the loop until the answer is there, gives it back. */
static inline struct storage_reply ask(struct storage_request request, const int *fds, unsigned n)
{
	struct storage_reply reply = {.status = 1};
	request.n_fds = n;
	ck_assert_int_eq(storage_submit(fixture.storage, &request, fds, fixture_on_reply, &reply),
			 0);
	ck_assert_int_eq(reply.status, 1);
	ck_assert_int_eq(loop_run(fixture.loop), 0);
	return reply;
}

static inline struct storage_request request_of(enum storage_op op, const char *name,
						const char *to_name)
{
	struct storage_request request;
	ck_assert_int_eq(storage_request_init(&request, op, name, to_name), 0);
	return request;
}

/* The storage process: our only child; 0 if there is none. */
static inline pid_t storage_pid(void)
{
	char path[64], text[64] = "";
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", (int)getpid());
	FILE *file = fopen(path, "re");
	ck_assert_ptr_nonnull(file);
	char *got = fgets(text, sizeof(text), file);
	fclose(file);
	uint64_t pid = 0;
	text[strcspn(text, " ")] = '\0';
	return got && num_parse_u64(text, &pid) == 0 ? (pid_t)pid : 0;
}
