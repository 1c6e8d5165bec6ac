/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Next job ID: strictly after *last_id, which it replaces. `YYYYMMDDTHHMMSSmmmZ`. */
void job_id_next(char last_id[24], int64_t realtime_ns);
bool job_id_is_valid(const char *text);
