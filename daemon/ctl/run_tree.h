/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

#include "common/util/macro.h"

/*
 * The private tree of one `zooparallel run`, mode 0700, made outside the data root (the daemon
 * refuses an overlap): conf, spool, state, run, log.
 */
/* The tree's own path is no longer than that of a socket may be (unix(7)). */
enum { RUN_TREE_ROOT_SIZE = 108, RUN_TREE_PATH_SIZE = 160 };

struct run_tree {
	char path[RUN_TREE_ROOT_SIZE]; /* "": there is none */
	int lock_fd;		       /* held by all who use the tree */
};

#define RUN_TREE_INIT                                                                              \
	{                                                                                          \
		.lock_fd = -1                                                                      \
	}

/*
 * data_root is absolute and resolved. 0; -EXDEV if every folder that is fit for temporary files
 * lies inside the data root; -errno of the last one tried.
 */
int run_tree_make(const char *data_root, struct run_tree *ret_tree) MUST_CHECK;

/* Removes the trees of this user whose `run` was killed, wherever run_tree_make() makes them. */
void run_tree_sweep(void);

/* Removes it with all that is in it; complains if something stays. Fit for CLEANUP. */
void run_tree_remove(struct run_tree *tree);

/* A path in the tree: "spool/incoming". Gives back ret_path. */
const char *run_tree_path(const struct run_tree *tree, const char *relative,
			  char ret_path[static RUN_TREE_PATH_SIZE]);

/* Puts the spec where the daemon will find it, whole or not at all. */
int run_tree_drop_spec(const struct run_tree *tree, const char *file_name, const char *text,
		       size_t len) MUST_CHECK;
