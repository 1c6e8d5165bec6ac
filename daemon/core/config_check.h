/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/util/macro.h"

struct config;
struct config_error;

/*
 * The rules between keys. config_path is the file that was read, or NULL. Looks symbolic links up:
 * may wait for the file system. Returns 0, -EINVAL with a message, or -ENOMEM.
 */
MUST_CHECK int config_check(const struct config *config, const char *config_path,
			    struct config_error *ret_error);
