/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/ctl/top_data.h"
#include "daemon/ctl/top_screen.h"

/* What `zooparallel top` is doing on a screen: which job is selected, what a key does. */

enum top_mode {
	TOP_MODE_JOBS,
	TOP_MODE_WORKERS, /* of the selected job */
	TOP_MODE_NAME,	  /* a part of a name is being typed */
	TOP_MODE_HELP,
};

enum top_wish {
	TOP_WISH_NONE, /* draw it, that is all */
	TOP_WISH_LOAD, /* the choice has changed: ask the daemon anew */
	TOP_WISH_QUIT,
};

struct top_view {
	struct top_data data;
	struct top_choice choice;
	enum top_mode mode;
	char selected_id[64];
	size_t selected; /* index into the jobs */
	size_t first;	 /* the first job, or worker, that is on the screen */
	size_t n_lines;	 /* that the list has had on the screen */
	json_t *workers; /* of selected_id; owned; NULL: unknown */
	int64_t interval_ns;
};

void top_view_deinit(struct top_view *view);

/* Looks at the daemon. */
void top_view_load(struct top_view *view, struct api *api, const char *socket_path);

enum top_wish top_view_key(struct top_view *view, int key);

void top_view_draw(struct top_view *view, struct screen *screen);
