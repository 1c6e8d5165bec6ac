/* SPDX-License-Identifier: MIT */
#include "common/model/reject.h"

#include <check.h>
#include <errno.h>
#include <string.h>

#include "common/util/str.h"
#include "tests/support/unit.h"

/* Numbers and names stand in shared memory and in users' files: neither may ever move. */
static const char *const names[] = {"ragged",	    "stray_quote",    "bad_quote",
				    "bare_cr",	    "invalid_utf8",   "nul_byte",
				    "row_too_long", "unclosed_quote", "crash"};

START_TEST(codes_keep_their_numbers_and_names)
{
	enum reject_code code = REJECT_CRASH;

	ck_assert_uint_eq(ARRAY_SIZE(names), REJECT_N_CODES);
	ck_assert_int_eq(reject_parse("raggedy", &code), -EINVAL);
	ck_assert_uint_eq(code, REJECT_CRASH);
	for (size_t k = 0; k < ARRAY_SIZE(names); k++) {
		ck_assert_str_eq(reject_name((enum reject_code)k), names[k]);
		ck_assert_int_eq(reject_parse(names[k], &code), 0);
		ck_assert_uint_eq(code, k);
	}
}
END_TEST

START_TEST(each_message_is_one_sentence_of_its_own)
{
	for (unsigned k = 0; k < REJECT_N_CODES; k++) {
		const char *message = reject_message(k);

		ck_assert(str_ends_with(message, "."));
		ck_assert_ptr_eq(strchr(message, '.'), message + strlen(message) - 1);
		ck_assert_ptr_null(strpbrk(message, "%\"\\\n"));
		for (unsigned other = 0; other < k; other++) {
			ck_assert_str_ne(message, reject_message(other));
		}
	}
}
END_TEST

UNIT_MAIN(codes_keep_their_numbers_and_names, each_message_is_one_sentence_of_its_own)
