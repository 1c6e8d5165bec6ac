/* SPDX-License-Identifier: MIT */
#pragma once

#include "common/model/job_state.h"

/* What a text is to look like where there are colours; the meaning, not the colour. */
enum style { STYLE_PLAIN, STYLE_GOOD, STYLE_WARNING, STYLE_BAD, STYLE_DIM, STYLE_N };

/* What turns it on (ECMA-48, SGR) and all of it off again; "" for STYLE_PLAIN. */
const char *style_begin(enum style style);
const char *style_end(enum style style);

enum style style_of_state(enum job_state state);
