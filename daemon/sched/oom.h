/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/util/macro.h"

/*
 * Whether a worker that died of a SIGKILL of unknown origin was the kernel's victim, killed for
 * lack of memory. A guess, see oom.c for how good it is.
 */
struct oom {
	int fd;		    /* of the file that counts; -1: there is none */
	uint64_t n_known;   /* kills that belong to a death, or to nobody of ours */
	uint64_t n_at_look; /* at the last look, */
	int64_t looked_ns;  /* which was then */
};

/* Never fails: without a count no death is taken for one of this kind. */
void oom_init(struct oom *oom);
void oom_deinit(struct oom *oom);

/* The same with a count of one's own: the fd, which is taken over, of a text with "oom_kill N". */
void oom_init_with(struct oom *oom, int fd);

/* Called often. What was counted before the last look but one belongs to nobody who dies now. */
void oom_look(struct oom *oom, int64_t now_ns);

/* A process of ours was killed: takes one from the count, if there is one. */
bool oom_claim(struct oom *oom);
