/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdint.h>

#include "daemon/ctl/ctl.h"
#include "daemon/ctl/top_data.h"

struct top_options {
	struct top_choice choice;
	int64_t interval_ns;
	uint64_t n_looks; /* 0: until it is ended */
};

/* TOP_LIVE_NO_SCREEN: there is no screen to be had and nothing has been done; else a ctl_exit. */
enum { TOP_LIVE_NO_SCREEN = -1 };
int top_live(const struct ctl *ctl, struct api *api, const struct top_options *options);
