/* SPDX-License-Identifier: MIT */
#include "daemon/ctl/table.h"

#include <check.h>
#include <locale.h>
#include <string.h>

#include "tests/support/unit.h"

static const struct table_column columns[] = {
	{"ID", TABLE_LEFT},
	{"NAME", TABLE_ELASTIC},
	{"ROWS", TABLE_RIGHT},
};

static void use_utf8(void)
{
	ck_assert_ptr_nonnull(setlocale(LC_CTYPE, "C.UTF-8"));
}

/* A table of rows of three cells, ended by NULL, as it shows at this width. */
static void check_render(const char *const *cells, size_t width, const char *expected)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	CLEANUP(table_deinit) struct table table;

	table_init(&table, columns, ARRAY_SIZE(columns));
	for (; *cells; cells++) {
		table_add(&table, *cells);
	}
	ck_assert_int_eq(table_render(&table, width, &out), 0);
	ck_assert_str_eq(buf_terminated(&out), expected);
}

START_TEST(columns_are_as_wide_as_their_widest_cell)
{
	check_render((const char *const[]){"a", "users", "1", "bbb", "x", "1,000", NULL}, 0,
		     "ID   NAME    ROWS\n"
		     "a    users      1\n"
		     "bbb  x      1,000\n");
}
END_TEST

START_TEST(an_empty_table_is_its_titles)
{
	check_render((const char *const[]){NULL}, 80, "ID  NAME  ROWS\n");
}
END_TEST

START_TEST(wide_characters_keep_the_columns_aligned)
{
	check_render((const char *const[]){"a", "動物", "1", "b", "Zoë", "2", NULL}, 0,
		     "ID  NAME  ROWS\n"
		     "a   動物     1\n"
		     "b   Zoë      2\n");
}
END_TEST

START_TEST(the_elastic_column_gives_way_to_a_narrow_screen)
{
	check_render((const char *const[]){"a", "a-name-of-21-columns-", "1", NULL}, 20,
		     "ID  NAME        ROWS\n"
		     "a   a-name-of~     1\n");
}
END_TEST

START_TEST(no_line_is_wider_than_the_screen)
{
	check_render((const char *const[]){"identity", "a-name-of-21-columns-", "1", NULL}, 12,
		     "ID        NA\n"
		     "identity  a-\n");
}
END_TEST

START_TEST(a_cell_cannot_break_its_line)
{
	check_render((const char *const[]){"a\nb", "\033[31m", "1", NULL}, 0,
		     "ID   NAME   ROWS\n"
		     "a?b  ?[31m     1\n");
}
END_TEST

START_TEST(colours_stand_around_the_text_and_take_no_room)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	CLEANUP(table_deinit) struct table table;

	table_init(&table, columns, ARRAY_SIZE(columns));
	table.has_color = true;
	table_add_styled(&table, "a", STYLE_GOOD);
	table_add_styled(&table, "a-name-of-21-columns-", STYLE_BAD);
	table_add_styled(&table, "1", STYLE_PLAIN);
	ck_assert_int_eq(table_render(&table, 20, &out), 0);
	ck_assert_str_eq(buf_terminated(&out),
			 "ID  NAME        ROWS\n"
			 "\033[32ma\033[0m   \033[31ma-name-of~\033[0m     1\n");
	buf_clear(&out);
	ck_assert_int_eq(table_render(&table, 7, &out), 0);
	ck_assert_str_eq(buf_terminated(&out), "ID  NAM\n"
					       "\033[32ma\033[0m   \033[31ma-n\033[0m\n");
}
END_TEST

START_TEST(many_rows_are_kept)
{
	CLEANUP(buf_deinit) struct buf out = BUF_INIT;
	CLEANUP(table_deinit) struct table table;

	table_init(&table, columns, ARRAY_SIZE(columns));
	for (int i = 0; i < 1000; i++) {
		table_printf(&table, "%04d", i);
		table_add(&table, "n");
		table_add(&table, "1");
	}
	ck_assert_int_eq(table_render(&table, 0, &out), 0);
	ck_assert_uint_eq(out.len, 1001 * strlen("0000  n        1\n"));
	ck_assert_ptr_nonnull(strstr(buf_terminated(&out), "\n0999  n        1\n"));
}
END_TEST

UNIT_MAIN_WITH(use_utf8, NULL, columns_are_as_wide_as_their_widest_cell,
	       an_empty_table_is_its_titles, wide_characters_keep_the_columns_aligned,
	       the_elastic_column_gives_way_to_a_narrow_screen, no_line_is_wider_than_the_screen,
	       a_cell_cannot_break_its_line, colours_stand_around_the_text_and_take_no_room,
	       many_rows_are_kept)
