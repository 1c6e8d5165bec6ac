/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

struct config;

/*
 * Where the daemon is reached: the TCP socket that systemd passes, or else the address of `listen`,
 * and <run_dir>/control.sock. The TCP port is written to <run_dir>/http.port, for those who listen
 * on port 0.
 */
struct endpoints {
	int tcp_fd; /* -1: none was passed, and `listen` is empty */
	int unix_fd;
};

/* Opens both. Logs what is wrong and what to do; returns -errno then, with nothing open. */
int endpoints_open(const struct config *config, int run_dir_fd,
		   struct endpoints *ret_endpoints) MUST_CHECK;

/* Removes the names from run_dir. The descriptors are whoever's took them. */
void endpoints_remove(int run_dir_fd);
