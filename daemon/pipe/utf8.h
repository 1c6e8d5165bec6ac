/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * Length (1 to 4) of the well-formed UTF-8 character (Unicode 15, table 3-7) that begins at
 * bytes[0], or 0 if none does within len bytes.
 */
size_t utf8_char_length(const uint8_t *bytes, size_t len);
