/* SPDX-License-Identifier: MIT */
#pragma once

#include <sys/socket.h>

#include "common/util/macro.h"

/*
 * Who listens on a unix socket: process, user and group when it began to (unix(7), SO_PEERCRED).
 * 0; -ECONNREFUSED or -ENOENT: nobody; -EACCES: not for this user; -ENAMETOOLONG, or -errno.
 */
int peer_of_socket(const char *path, struct ucred *ret) MUST_CHECK;
