/* SPDX-License-Identifier: MIT */

/*
 * From malloc's own heap of large blocks, so that it can be freed and resized like anything else.
 */
#include "common/util/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

void *memory_alloc_huge(size_t size)
{
	size_t rounded = (size + MEMORY_HUGE_PAGE - 1) & ~(MEMORY_HUGE_PAGE - 1);

	if (rounded < size) {
		return NULL;
	}

	void *memory = aligned_alloc(MEMORY_HUGE_PAGE, rounded);

	if (memory != NULL) {
		/* A kernel without huge pages refuses; then they are small ones. */
		(void)madvise(memory, rounded, MADV_HUGEPAGE);
	}
	return memory;
}
