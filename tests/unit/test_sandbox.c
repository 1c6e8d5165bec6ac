/* SPDX-License-Identifier: MIT */
/* Which read-only mounts a sandbox has made: by texts as the kernel writes them, and by our own. */
#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "daemon/core/sandbox.h"
#include "tests/support/unit.h"

static bool closes(const char *text, uint64_t mount_id)
{
	char copy[1024];

	snprintf(copy, sizeof(copy), "%s", text);
	return sandbox_closes_mount(copy, mount_id);
}

START_TEST(only_a_mount_that_is_stricter_than_its_file_system_counts)
{
	const char *text =
		"21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw,errors=remount-ro\n"
		"22 21 8:1 /srv /srv ro,relatime shared:2 master:3 - ext4 /dev/sda1 rw\n"
		"23 21 8:2 / /cd ro,nosuid - iso9660 /dev/sr0 ro,block=2048\n"
		"24 21 0:9 / /a\\040b ro - tmpfs tmpfs rw,size=4k\n"
		"25 21 0:9 / /row rw,rows - tmpfs rows rw,ro\n";

	ck_assert(!closes(text, 21));
	ck_assert(closes(text, 22));
	ck_assert(!closes(text, 23));
	ck_assert(closes(text, 24));
	ck_assert(!closes(text, 25));
	ck_assert(!closes(text, 2));
	ck_assert(!closes(text, 222));
}
END_TEST

START_TEST(a_text_that_is_cut_off_closes_nothing)
{
	const char *line = "22 21 8:1 /srv /srv ro,relatime shared:2 - ext4 /dev/sda1 rw\n";
	char cut[128];

	ck_assert(!closes("", 22));
	for (size_t n = 0; n < strlen("22 21 8:1 /srv /srv ro,relatime"); n++) {
		snprintf(cut, sizeof(cut), "%.*s", (int)n, line);
		ck_assert_msg(!closes(cut, 22), "%s", cut);
	}
}
END_TEST

START_TEST(a_folder_that_may_be_written_to_is_not_closed)
{
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert(!sandbox_closes(fd));
	ck_assert(!sandbox_closes(-1));
	fd_close(fd);
}
END_TEST

/* 2: it may not be tried here. */
static int look_at_closed_mount(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("/tmp", "/tmp", NULL, MS_BIND, NULL) < 0 ||
	    mount(NULL, "/tmp", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0) {
		return 2;
	}
	int fd = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd >= 0 && sandbox_closes(fd) ? 0 : 1;
}

START_TEST(a_mount_that_was_closed_over_a_folder_is_seen)
{
	int status = 0;
	pid_t pid = fork();

	if (pid == 0) {
		_exit(look_at_closed_mount());
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert(WIFEXITED(status));
	ck_assert_int_ne(WEXITSTATUS(status), 1);
}
END_TEST

UNIT_MAIN(only_a_mount_that_is_stricter_than_its_file_system_counts,
	  a_text_that_is_cut_off_closes_nothing, a_folder_that_may_be_written_to_is_not_closed,
	  a_mount_that_was_closed_over_a_folder_is_seen)
