/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/core/loop.h"
#include "daemon/core/storage.h"
#include "daemon/spool/spool.h"

/* One directory of the spool, watched and counted. */

enum area_event {
	AREA_EVENT_FILE, /* a file was written or moved in */
	AREA_EVENT_LOST, /* there were more events than the kernel keeps: look for yourself */
};

/* name: of the file, with AREA_EVENT_FILE. Names that begin with a dot are not told. */
typedef void (*area_event_fn)(void *userdata, enum area_event event, const char *name);

struct area {
	enum spool_area number;
	struct loop *loop;
	int spool_dir_fd; /* borrowed */
	area_event_fn fn;
	void *userdata;
	int fd;
	struct loop_source *watch; /* NULL: inotify is not to be had */
	int64_t n_files;	   /* specs; -1: not known yet */
};

/* Sets it up, closed; area_open opens it. The area must not move while it is open. */
void area_init(struct area *area, enum spool_area number, struct loop *loop, int spool_dir_fd,
	       area_event_fn fn, void *userdata);

/* Opens the directory, or opens it again if another stands in its place. 0 or -errno. */
int area_open(struct area *area) MUST_CHECK;

/* Asks for a new count; 0 or -errno. */
int area_count(struct area *area, struct storage *storage) MUST_CHECK;

void area_deinit(struct area *area, struct storage *storage);
