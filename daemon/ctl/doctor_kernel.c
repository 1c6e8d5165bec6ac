/* SPDX-License-Identifier: MIT */
/*
 * What the daemon asks of the kernel, asked for here in a way that changes nothing. Without
 * openat2(2) or pidfds it does not work; the rest makes it safer, faster or better informed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "common/util/buf.h"
#include "common/util/clock.h"
#include "common/util/fd.h"
#include "common/util/process.h"
#include "common/util/str.h"
#include "daemon/ctl/doctor.h"

/* 2026-01-01: no clock that is right is before this program. */
#define EARLIEST_NS (INT64_C(1767225600) * CLOCK_NS_PER_SEC)

/* LANDLOCK_CREATE_RULESET_VERSION of landlock_create_ruleset(2): only asks. */
enum { LANDLOCK_ASK_VERSION = 1, TEXT_MAX_BYTES = 4096 };

static void add_feature(struct doctor *doctor, const char *check, bool is_there,
			enum doctor_level level_without, const char *without)
{
	struct utsname kernel = {.release = "unknown"};

	if (is_there) {
		doctor_add(doctor, &(struct doctor_finding){check, DOCTOR_OK, NULL, NULL},
			   "the kernel has it");
		return;
	}
	(void)uname(&kernel);
	doctor_add(doctor,
		   &(struct doctor_finding){check, level_without, NULL,
					    "use a kernel from 5.13 on, or a sandbox that lets it "
					    "through"},
		   "kernel %s does not have it, or a sandbox forbids it: %s", kernel.release,
		   without);
}

static bool has_openat2(void)
{
	CLEANUP(fd_closep) int fd = fd_open_beneath(AT_FDCWD, ".", O_PATH | O_DIRECTORY, 0);

	return fd >= 0;
}

static bool has_pidfd(void)
{
	CLEANUP(fd_closep) int fd = process_pidfd_open(getpid());

	return fd >= 0;
}

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_ASK_VERSION) > 0;
}

/* The beginning of a small file of the kernel's; "" if it can't be read. */
static void read_text(const char *path, char *ret_text, size_t size)
{
	CLEANUP(fd_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd >= 0 ? read(fd, ret_text, size - 1) : 0;

	ret_text[n > 0 ? n : 0] = '\0';
}

static void examine_huge_pages(struct doctor *doctor)
{
	static const char path[] = "/sys/kernel/mm/transparent_hugepage/enabled";
	char text[TEXT_MAX_BYTES];

	read_text(path, text, sizeof(text));
	if (strstr(text, "[always]") || strstr(text, "[madvise]")) {
		doctor_add(doctor, &(struct doctor_finding){"huge_pages", DOCTOR_OK, path, NULL},
			   "buffers can have them");
		return;
	}
	doctor_add(doctor,
		   &(struct doctor_finding){
			   "huge_pages", DOCTOR_WARNING, path,
			   "echo madvise >/sys/kernel/mm/transparent_hugepage/enabled"},
		   "they are off: workers are slower");
}

static void examine_control_groups(struct doctor *doctor)
{
	if (access("/sys/fs/cgroup/cgroup.controllers", F_OK) == 0) {
		doctor_add(doctor,
			   &(struct doctor_finding){"control_groups", DOCTOR_OK, NULL, NULL},
			   "version 2");
		return;
	}
	doctor_add(doctor,
		   &(struct doctor_finding){"control_groups", DOCTOR_WARNING, NULL,
					    "boot with systemd.unified_cgroup_hierarchy=1"},
		   "not version 2: that the kernel killed a worker for its memory can only be "
		   "concluded");
}

static void examine_boot_id(struct doctor *doctor)
{
	char id[PROCESS_BOOT_ID_SIZE];
	int r = process_boot_id(id);

	if (r < 0) {
		doctor_add(
			doctor,
			&(struct doctor_finding){"boot_id", DOCTOR_PROBLEM, NULL,
						 "mount /proc without subset=pid"},
			"/proc/sys/kernel/random/boot_id: %s; after a restart no job could go on "
			"where it was",
			strerror(-r));
	} else {
		doctor_add(doctor, &(struct doctor_finding){"boot_id", DOCTOR_OK, NULL, NULL},
			   "it can be read");
	}
}

static void examine_clock(struct doctor *doctor)
{
	char text[CLOCK_TEXT_SIZE];
	int64_t now_ns = clock_realtime_ns();

	(void)clock_format_utc(text, now_ns);
	if (now_ns < EARLIEST_NS) {
		doctor_add(doctor,
			   &(struct doctor_finding){"clock", DOCTOR_PROBLEM, NULL,
						    "set the clock: timedatectl set-ntp true"},
			   "it says %s, which is before this program was made", text);
	} else {
		doctor_add(doctor, &(struct doctor_finding){"clock", DOCTOR_OK, NULL, NULL}, "%s",
			   text);
	}
}

void doctor_examine_kernel(struct doctor *doctor)
{
	add_feature(doctor, "openat2", has_openat2(), DOCTOR_PROBLEM,
		    "jobs can't be kept inside their data roots");
	add_feature(doctor, "pidfd", has_pidfd(), DOCTOR_PROBLEM, "workers' deaths can't be told");
	add_feature(doctor, "landlock", has_landlock(), DOCTOR_WARNING,
		    "workers can't be kept from files by the kernel");
	add_feature(doctor, "seccomp", prctl(PR_GET_SECCOMP, 0, 0, 0, 0) >= 0, DOCTOR_WARNING,
		    "system calls can't be filtered");
	examine_huge_pages(doctor);
	examine_control_groups(doctor);
	examine_boot_id(doctor);
	examine_clock(doctor);
}
