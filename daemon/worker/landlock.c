/* SPDX-License-Identifier: MIT */
/*
 * The C library has no functions for these system calls, and the headers of a kernel know no newer
 * rights than its own; the running kernel may know more or fewer. So it is asked, all rights that
 * both it and this file know are given up, and those that it does not know are left out of the
 * rules. The numbers are the kernel's interface and never change.
 *
 * Only the question for the version may say that there is no Landlock. A sandbox around us that
 * does not know these calls answers that with EPERM. If a later call fails, something is broken.
 */
#include "daemon/worker/landlock.h"

#include <errno.h>
#include <linux/landlock.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/util/fd.h"

/* Newer than the headers of Linux 6.1. */
#define ACCESS_TRUNCATE	      (UINT64_C(1) << 14)
#define ACCESS_IOCTL_DEV      (UINT64_C(1) << 15)
#define NET_BIND_TCP	      (UINT64_C(1) << 0)
#define NET_CONNECT_TCP	      (UINT64_C(1) << 1)
#define SCOPE_ABSTRACT_SOCKET (UINT64_C(1) << 0)
#define SCOPE_SIGNAL	      (UINT64_C(1) << 1)

#define ACCESS_OF_ABI_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define ACCESS_OF_EVERY_ABI                                                                        \
	(ACCESS_OF_ABI_1 | LANDLOCK_ACCESS_FS_REFER | ACCESS_TRUNCATE | ACCESS_IOCTL_DEV)

const uint64_t landlock_reading = LANDLOCK_ACCESS_FS_READ_FILE;
const uint64_t landlock_listing = LANDLOCK_ACCESS_FS_READ_DIR;
const uint64_t landlock_keeping = ACCESS_OF_EVERY_ABI &
				  ~(LANDLOCK_ACCESS_FS_EXECUTE | ACCESS_IOCTL_DEV);

/* struct landlock_ruleset_attr of Linux 6.12. An older kernel wants it as short as its own. */
struct attributes {
	uint64_t access, net, scoped;
};

/* What came with each version of the interface. */
static const struct version {
	unsigned abi;
	size_t size; /* of the attributes */
	struct attributes adds;
} versions[] = {
	{1, offsetof(struct attributes, net), {.access = ACCESS_OF_ABI_1}},
	{2, offsetof(struct attributes, net), {.access = LANDLOCK_ACCESS_FS_REFER}},
	{3, offsetof(struct attributes, net), {.access = ACCESS_TRUNCATE}},
	{4, offsetof(struct attributes, scoped), {.net = NET_BIND_TCP | NET_CONNECT_TCP}},
	{5, offsetof(struct attributes, scoped), {.access = ACCESS_IOCTL_DEV}},
	{6, sizeof(struct attributes), {.scoped = SCOPE_ABSTRACT_SOCKET | SCOPE_SIGNAL}},
};

/* 0: there is none. */
static long ask_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi >= 0) {
		return abi;
	}
	return errno == ENOSYS || errno == EOPNOTSUPP || errno == EPERM ? 0 : -errno;
}

static size_t attributes_of(unsigned abi, struct attributes *ret_attributes)
{
	size_t size = 0;

	*ret_attributes = (struct attributes){0};
	for (size_t i = 0; i < ARRAY_SIZE(versions) && versions[i].abi <= abi; i++) {
		ret_attributes->access |= versions[i].adds.access;
		ret_attributes->net |= versions[i].adds.net;
		ret_attributes->scoped |= versions[i].adds.scoped;
		size = versions[i].size;
	}
	return size;
}

int landlock_open(unsigned min_abi, struct landlock *ret_landlock)
{
	struct attributes attributes;
	long abi = ask_abi();

	if (abi < 0) {
		return (int)abi;
	}
	if (abi < min_abi || abi == 0) {
		return LANDLOCK_IS_MISSING;
	}
	size_t size = attributes_of((unsigned)abi, &attributes);
	long fd = syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
	if (fd < 0) {
		return -errno;
	}
	*ret_landlock = (struct landlock){.rules_fd = (int)fd, .access = attributes.access};
	return 0;
}

int landlock_allow(const struct landlock *landlock, int fd, uint64_t access)
{
	const struct landlock_path_beneath_attr rule = {.allowed_access = access & landlock->access,
							.parent_fd = fd};
	long r = syscall(SYS_landlock_add_rule, landlock->rules_fd, LANDLOCK_RULE_PATH_BENEATH,
			 &rule, 0);

	return r < 0 ? -errno : 0;
}

int landlock_enter(const struct landlock *landlock)
{
	return syscall(SYS_landlock_restrict_self, landlock->rules_fd, 0) < 0 ? -errno : 0;
}

void landlock_close(struct landlock *landlock)
{
	landlock->rules_fd = fd_close(landlock->rules_fd);
}
