/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdlib.h>

#define MUST_CHECK		 __attribute__((warn_unused_result))
#define CLEANUP(fn)		 __attribute__((cleanup(fn)))
#define PRINTF_FORMAT(fmt, args) __attribute__((format(printf, fmt, args)))
#define LIKELY(x)		 __builtin_expect(!!(x), 1)
#define UNLIKELY(x)		 __builtin_expect(!!(x), 0)

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

/* <sys/param.h> brings versions that evaluate an argument twice. */
#undef MIN
#undef MAX

/*
 * Each argument is evaluated once. Operands of different signedness draw the compiler's
 * -Wsign-compare. The counter keeps the names of nested uses apart.
 */
#define MIN(a, b) MACRO_PICK_(<, a, b, __COUNTER__)
#define MAX(a, b) MACRO_PICK_(>, a, b, __COUNTER__)

#define MACRO_PICK_(op, a, b, n) MACRO_PICK2_(op, a, b, n)
#define MACRO_PICK2_(op, a, b, n)                                                                  \
	({                                                                                         \
		__auto_type macro_a##n = (a);                                                      \
		__auto_type macro_b##n = (b);                                                      \
		macro_a##n op macro_b##n ? macro_a##n : macro_b##n;                                \
	})

/* Gives the value and leaves NULL (or -1) behind: ownership moves to the receiver. */
#define TAKE_PTR(p) MACRO_TAKE_(p, NULL, __COUNTER__)
#define TAKE_FD(fd) MACRO_TAKE_(fd, -1, __COUNTER__)

#define MACRO_TAKE_(var, empty, n) MACRO_TAKE2_(var, empty, n)
#define MACRO_TAKE2_(var, empty, n)                                                                \
	({                                                                                         \
		__typeof__(var) *macro_var##n = &(var);                                            \
		__typeof__(var) macro_value##n = *macro_var##n;                                    \
		*macro_var##n = empty;                                                             \
		macro_value##n;                                                                    \
	})

/* For CLEANUP on any pointer from malloc: `CLEANUP(free_p) char *path = NULL;` */
static inline void free_p(void *pointer_to_pointer)
{
	free(*(void **)pointer_to_pointer);
}
