/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

/*
 * Takes the listening stream socket that the service manager has opened for us under this name
 * (FileDescriptorName= of the socket unit; sd_listen_fds(3)). Others that were passed are closed,
 * with a warning. Call it once: it takes what says so out of the environment.
 *
 * Returns 0 with *ret_fd, CLOEXEC and non-blocking, or -1 where none was passed; -EINVAL if it is
 * not a listening TCP socket; -errno.
 */
int passed_socket_take(const char *name, int *ret_fd) MUST_CHECK;
