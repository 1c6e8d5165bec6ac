/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

struct config;

/*
 * Writes the configuration that counts, file, overrides and defaults together, as one JSON object
 * on a line: its keys in the order of zooparalleld.conf. Sizes are bytes, durations seconds, users
 * their numbers. config_path becomes "config_file"; NULL: null.
 * 0, -ENOMEM or -errno of write(2).
 */
int config_print_json(int fd, const struct config *config, const char *config_path) MUST_CHECK;
