/* SPDX-License-Identifier: MIT */
#include "common/util/memory.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/util/buf.h"
#include "tests/support/unit.h"

START_TEST(it_begins_at_a_huge_page_and_is_all_there)
{
	char *memory = memory_alloc_huge(MEMORY_HUGE_PAGE + 1);

	ck_assert_ptr_nonnull(memory);
	ck_assert_uint_eq((uintptr_t)memory % MEMORY_HUGE_PAGE, 0);
	memset(memory, 1, 2 * MEMORY_HUGE_PAGE); /* a sanitizer sees it if it was not rounded up */
	free(memory);
}
END_TEST

START_TEST(what_cannot_be_had_is_null)
{
	ck_assert_ptr_null(memory_alloc_huge(SIZE_MAX));
	ck_assert_ptr_null(memory_alloc_huge(SIZE_MAX / 2));
}
END_TEST

START_TEST(a_buf_of_huge_pages_grows_as_any_other)
{
	CLEANUP(buf_deinit) struct buf buf = BUF_INIT;
	size_t n = 3 * MEMORY_HUGE_PAGE;

	ck_assert_int_eq(buf_reserve_huge(&buf, MEMORY_HUGE_PAGE), 0);
	ck_assert_uint_ge(buf.capacity, MEMORY_HUGE_PAGE);
	ck_assert_uint_eq(buf.len, 0);
	for (size_t i = 0; i < n; i++) {
		buf_add_char(&buf, (char)i);
	}
	ck_assert_int_eq(buf_error(&buf), 0);
	ck_assert_uint_eq(buf.len, n);
	for (size_t i = 0; i < n; i += 4093) {
		ck_assert_int_eq(buf.data[i], (char)i);
	}
}
END_TEST

UNIT_MAIN(it_begins_at_a_huge_page_and_is_all_there, what_cannot_be_had_is_null,
	  a_buf_of_huge_pages_grows_as_any_other)
