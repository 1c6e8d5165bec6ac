/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>

/*
 * Memory for a buffer of megabytes that is gone through again and again: begins at a huge page's
 * border and asks the kernel for huge pages (madvise(2), MADV_HUGEPAGE), so that it costs few page
 * faults and few entries of the TLB. Only what is touched becomes resident, 2 MiB at a time where
 * there are huge pages. `size` is rounded up to MEMORY_HUGE_PAGE. NULL: no memory. For free(3).
 */
#define MEMORY_HUGE_PAGE ((size_t)2 << 20)

void *memory_alloc_huge(size_t size);
