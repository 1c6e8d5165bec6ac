/* SPDX-License-Identifier: MIT */
#include "common/util/checksum.h"

#include <check.h>
#include <string.h>

#include "tests/support/unit.h"

/* Test vectors of draft-eastlake-fnv, appendix C. */
START_TEST(the_checksum_is_fnv_1a)
{
	ck_assert_uint_eq(checksum_add(CHECKSUM_INIT, "", 0), UINT64_C(0xcbf29ce484222325));
	ck_assert_uint_eq(checksum_add(CHECKSUM_INIT, "a", 1), UINT64_C(0xaf63dc4c8601ec8c));
	ck_assert_uint_eq(checksum_add(CHECKSUM_INIT, "foobar", 6), UINT64_C(0x85944171f73967e8));
}
END_TEST

START_TEST(it_may_be_made_in_parts)
{
	uint64_t parts = checksum_add(checksum_add(CHECKSUM_INIT, "foo", 3), "bar", 3);

	ck_assert_uint_eq(parts, checksum_add(CHECKSUM_INIT, "foobar", 6));
}
END_TEST

UNIT_MAIN(the_checksum_is_fnv_1a, it_may_be_made_in_parts)
