/* SPDX-License-Identifier: MIT */
/*
 * A cursor goes over the text member by member, steps over the values that it is not looking for
 * by counting brackets, and goes down into the one that it is. There is no recursion, so nesting
 * costs nothing, and no copy of the text.
 *
 * The path is written as the walk goes down, from the keys as they stand in the text: they are
 * already escaped there, so a path never holds a control character.
 */
#include "common/model/json_locate.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <jansson.h>

#include "common/util/str.h"

enum {
	/* json_locate_key_before() goes over the text once for each level. */
	MAX_DEPTH = 32,
};

struct cursor {
	const char *at;
	const char *end;
};

/* One member of an object or array; the cursor stands on its value. */
struct member {
	const char *key; /* with its quotes; NULL in an array */
	size_t key_bytes;
	size_t index;
};

static bool cursor_is_on(const struct cursor *cursor, char character)
{
	return cursor->at < cursor->end && *cursor->at == character;
}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && memchr(" \t\r\n", *cursor->at, 4)) {
		cursor->at++;
	}
}

/* From the opening quote to behind the closing one; false if there is none. */
static bool skip_string(struct cursor *cursor)
{
	cursor->at++;
	while (cursor->at < cursor->end && *cursor->at != '"') {
		if (*cursor->at == '\\' && cursor->at + 1 < cursor->end) {
			cursor->at++;
		}
		cursor->at++;
	}
	if (cursor->at == cursor->end) {
		return false;
	}
	cursor->at++;
	return true;
}

static void skip_token(struct cursor *cursor)
{
	if (*cursor->at == '"') {
		skip_string(cursor);
		return;
	}
	do {
		cursor->at++;
	} while (cursor->at < cursor->end && !memchr(" \t\r\n\"[]{},:", *cursor->at, 11));
}

static void skip_value(struct cursor *cursor)
{
	size_t depth = 0;

	do {
		skip_space(cursor);
		if (cursor->at == cursor->end) {
			return;
		}
		if (memchr("[{", *cursor->at, 2)) {
			depth++;
			cursor->at++;
		} else if (memchr("]},:", *cursor->at, 4)) {
			depth -= depth > 0 && memchr("]}", *cursor->at, 2) ? 1 : 0;
			cursor->at++;
		} else {
			skip_token(cursor);
		}
	} while (depth > 0);
}

/* Goes into the object or array on which the cursor stands. */
static bool enter(struct cursor *cursor, struct member *ret_member)
{
	skip_space(cursor);
	if (!cursor_is_on(cursor, '{') && !cursor_is_on(cursor, '[')) {
		return false;
	}
	cursor->at++;
	*ret_member = (struct member){.index = SIZE_MAX};
	return true;
}

/* Goes on to the next member: from behind the bracket, or from behind the value before it. */
static bool next_member(struct cursor *cursor, bool is_object, struct member *member)
{
	member->index++;
	skip_space(cursor);
	if (member->index > 0) {
		if (!cursor_is_on(cursor, ',')) {
			return false;
		}
		cursor->at++;
		skip_space(cursor);
	}
	if (!is_object) {
		return cursor->at < cursor->end && !cursor_is_on(cursor, ']');
	}
	member->key = cursor->at;
	if (!cursor_is_on(cursor, '"') || !skip_string(cursor)) {
		return false;
	}
	member->key_bytes = (size_t)(cursor->at - member->key);
	skip_space(cursor);
	if (cursor_is_on(cursor, ':')) {
		cursor->at++;
	}
	skip_space(cursor);
	return true;
}

/* Without memory a key with escapes matches nothing, and the place is that of its object. */
static bool key_is(const struct member *member, const char *key)
{
	json_t *decoded;
	bool is_equal;

	if (!memchr(member->key, '\\', member->key_bytes)) {
		return member->key_bytes == strlen(key) + 2 &&
		       memcmp(member->key + 1, key, member->key_bytes - 2) == 0;
	}
	decoded = json_loadb(member->key, member->key_bytes, JSON_DECODE_ANY, NULL);
	is_equal = decoded && strcmp(json_string_value(decoded), key) == 0;
	json_decref(decoded);
	return is_equal;
}

static bool enter_step(struct cursor *cursor, const struct json_step *step,
		       struct member *ret_member)
{
	bool is_object;

	if (!enter(cursor, ret_member)) {
		return false;
	}
	is_object = cursor->at[-1] == '{';
	if (is_object != (step->key != NULL)) {
		return false;
	}
	while (next_member(cursor, is_object, ret_member)) {
		if (is_object ? key_is(ret_member, step->key) : ret_member->index == step->index) {
			return true;
		}
		skip_value(cursor);
	}
	return false;
}

static bool is_plain_key(const struct member *member)
{
	static const char plain[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_";
	size_t n = 1; /* behind the quote; the text need not end with NUL, so no strspn(3) */

	while (n + 1 < member->key_bytes && memchr(plain, member->key[n], sizeof(plain) - 1)) {
		n++;
	}
	return n > 1 && n + 1 == member->key_bytes;
}

static bool is_utf8_continuation(char byte)
{
	return ((unsigned char)byte & 0xc0) == 0x80;
}

static void path_append(char *path, const char *text, size_t len)
{
	size_t used = strlen(path);
	size_t n = str_utf8_floor(text, len, JSON_PLACE_PATH_BYTES - 1 - used);

	memcpy(path + used, text, n);
	path[used + n] = '\0';
}

static void path_append_member(char *path, const struct member *member)
{
	char index[32];

	if (!member->key) {
		snprintf(index, sizeof(index), "[%zu]", member->index);
		path_append(path, index, strlen(index));
	} else if (is_plain_key(member)) {
		path_append(path, ".", 1);
		path_append(path, member->key + 1, member->key_bytes - 2);
	} else {
		path_append(path, "[", 1);
		path_append(path, member->key, member->key_bytes);
		path_append(path, "]", 1);
	}
}

static void place_set_position(struct json_place *place, const char *text, const char *at)
{
	place->line = 1;
	place->column = 1;
	for (; text < at; text++) {
		if (*text == '\n') {
			place->line++;
			place->column = 1;
		} else if (!is_utf8_continuation(*text)) {
			place->column++;
		}
	}
}

int json_locate(const char *text, size_t len, const struct json_step *steps, size_t n_steps,
		enum json_locate_target target, struct json_place *ret_place)
{
	struct cursor cursor = {.at = text, .end = text + len};
	struct json_place place = {.path = "$"};
	struct member member = {0};

	for (size_t i = 0; i < n_steps; i++) {
		if (!enter_step(&cursor, &steps[i], &member)) {
			return -ENOENT;
		}
		path_append_member(place.path, &member);
	}
	skip_space(&cursor);
	if (cursor.at == cursor.end || (target == JSON_LOCATE_KEY && !member.key)) {
		return -ENOENT;
	}
	place_set_position(&place, text, target == JSON_LOCATE_KEY ? member.key : cursor.at);
	*ret_place = place;
	return 0;
}

int json_locate_key_before(const char *text, size_t end, struct json_place *ret_place)
{
	struct cursor cursor = {.at = text, .end = text + end};
	struct json_place place = {.path = "$"};
	struct member member;
	const char *value;
	bool is_object;

	if (end == 0 || text[end - 1] != '"') {
		return -ENOENT;
	}
	for (unsigned depth = 0; depth < MAX_DEPTH && enter(&cursor, &member); depth++) {
		is_object = cursor.at[-1] == '{';
		do {
			if (!next_member(&cursor, is_object, &member)) {
				return -ENOENT;
			}
			value = cursor.at;
			skip_value(&cursor);
		} while (cursor.at < cursor.end);
		path_append_member(place.path, &member);
		if (is_object && value == cursor.end) {
			place_set_position(&place, text, member.key);
			*ret_place = place;
			return 0;
		}
		cursor.at = value; /* the value in which the text ends: the key is inside it */
	}
	return -ENOENT;
}
