/* SPDX-License-Identifier: MIT */
/*
 * Preloaded into the daemon: its real time is the machine's plus as many seconds as the file named
 * by ZP_CHAOS_CLOCK holds (eight bytes, as the machine has them). The machine's own clock, which
 * others live by, stays as it is. The daemon's workers get no preloaded library and see true time.
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const _Atomic int64_t no_jump;
static const _Atomic int64_t *jump = &no_jump;

__attribute__((constructor)) static void find_jump(void)
{
	const char *path = getenv("ZP_CHAOS_CLOCK");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *map = fd < 0 ? MAP_FAILED : mmap(NULL, sizeof(*jump), PROT_READ, MAP_SHARED, fd, 0);
	if (map != MAP_FAILED) {
		jump = map;
	}
	if (fd >= 0) {
		close(fd);
	}
}

int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int r = (int)syscall(SYS_clock_gettime, clock, ret_time);
	if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE)) {
		ret_time->tv_sec += *jump;
	}
	return r;
}

time_t time(time_t *ret_seconds)
{
	struct timespec now = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	if (ret_seconds) {
		*ret_seconds = now.tv_sec;
	}
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
	struct timespec now = {0};
	clock_gettime(CLOCK_REALTIME, &now);
	*ret_time = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}
