/* SPDX-License-Identifier: MIT */
/*
 * Headers that are lists: elements at commas, parameters at semicolons. One cursor walks both, so
 * that every header of this kind is read alike; what cannot be read counts as not said.
 */
#include "daemon/http/negotiate.h"

#include <stddef.h>
#include <string.h>
#include <strings.h>

/* A piece of a header, not terminated. */
struct piece {
	const char *text;
	size_t len;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static struct piece trimmed(const char *text, size_t len)
{
	while (len > 0 && is_blank(text[0])) {
		text++;
		len--;
	}
	while (len > 0 && is_blank(text[len - 1])) {
		len--;
	}
	return (struct piece){text, len};
}

/* Takes the piece before the next separator off the rest; false at the end. */
static bool take(struct piece *rest, char separator, struct piece *ret_piece)
{
	const char *end;

	if (rest->text == NULL) {
		return false;
	}
	end = memchr(rest->text, separator, rest->len);
	if (end == NULL) {
		*ret_piece = trimmed(rest->text, rest->len);
		rest->text = NULL;
		return true;
	}
	*ret_piece = trimmed(rest->text, (size_t)(end - rest->text));
	rest->len -= (size_t)(end - rest->text) + 1;
	rest->text = end + 1;
	return true;
}

static bool piece_is(struct piece piece, const char *word)
{
	return piece.len == strlen(word) && strncasecmp(piece.text, word, piece.len) == 0;
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* "0.75" in thousandths; -1 if it is no weight (RFC 9110, section 12.4.2). */
static int parse_weight(struct piece piece)
{
	int weight = 0;
	int scale = 1000;

	if (piece.len == 0 || piece.len > 5 || !is_digit(piece.text[0]) ||
	    (piece.len > 1 && piece.text[1] != '.')) {
		return -1;
	}
	for (size_t i = 0; i < piece.len; i += i == 0 ? 2 : 1) {
		if (!is_digit(piece.text[i])) {
			return -1;
		}
		weight += (piece.text[i] - '0') * scale;
		scale /= 10;
	}
	return weight <= 1000 ? weight : -1;
}

/* A quoted value without its quotes; what is escaped inside matches nothing that we offer. */
static struct piece unquoted(struct piece piece)
{
	if (piece.len >= 2 && piece.text[0] == '"' && piece.text[piece.len - 1] == '"') {
		return (struct piece){piece.text + 1, piece.len - 2};
	}
	return piece;
}

/* An element's name, its weight in thousandths, and its version if it has one. */
struct element {
	struct piece name;
	struct piece version;
	int weight;
};

static bool next_element(struct piece *rest, struct element *ret)
{
	struct piece element, part;

	if (!take(rest, ',', &element)) {
		return false;
	}
	*ret = (struct element){.weight = 1000};
	take(&element, ';', &ret->name);
	while (take(&element, ';', &part)) {
		struct piece key;

		take(&part, '=', &key);
		if (part.text == NULL) {
			continue;
		}
		part = unquoted(trimmed(part.text, part.len));
		if (piece_is(key, "q")) {
			ret->weight = parse_weight(part);
		} else if (piece_is(key, "version")) {
			ret->version = part;
		}
	}
	return true;
}

/* The weight of a media type; a more exact name goes before a wildcard. -1: not mentioned. */
static int media_weight(const char *accept, const char *type, const char *range,
			const char *version)
{
	struct piece rest = {accept, strlen(accept)};
	struct element element;
	int weights[3] = {-1, -1, -1}; /* exact, type wildcard, any */

	while (next_element(&rest, &element)) {
		int level;

		if (piece_is(element.name, type)) {
			level = 0;
		} else if (piece_is(element.name, range)) {
			level = 1;
		} else if (piece_is(element.name, "*/*")) {
			level = 2;
		} else {
			continue;
		}
		if (element.version.len > 0 && !piece_is(element.version, version)) {
			continue;
		}
		if (element.weight > weights[level]) {
			weights[level] = element.weight;
		}
	}
	return weights[0] >= 0 ? weights[0] : weights[1] >= 0 ? weights[1] : weights[2];
}

enum negotiate_metrics negotiate_metrics(const char *accept)
{
	int openmetrics, text;

	if (accept == NULL) {
		return NEGOTIATE_PROMETHEUS_TEXT;
	}
	openmetrics = media_weight(accept, "application/openmetrics-text", "application/*",
				   "1.0.0");
	text = media_weight(accept, "text/plain", "text/*", "0.0.4");
	return openmetrics > 0 && openmetrics > text ? NEGOTIATE_OPENMETRICS
						     : NEGOTIATE_PROMETHEUS_TEXT;
}

bool negotiate_gzip(const char *accept_encoding)
{
	struct piece rest = {accept_encoding,
			     accept_encoding != NULL ? strlen(accept_encoding) : 0};
	struct element element;
	int gzip = -1, any = -1;

	while (next_element(&rest, &element)) {
		if (piece_is(element.name, "gzip") || piece_is(element.name, "x-gzip")) {
			gzip = element.weight;
		} else if (piece_is(element.name, "*")) {
			any = element.weight;
		}
	}
	return gzip > 0 || (gzip < 0 && any > 0);
}

bool negotiate_none_match(const char *if_none_match, const char *etag)
{
	struct piece rest = {if_none_match, if_none_match != NULL ? strlen(if_none_match) : 0};
	struct piece tag;

	while (take(&rest, ',', &tag)) {
		if (tag.len > 2 && memcmp(tag.text, "W/", 2) == 0) {
			tag = (struct piece){tag.text + 2, tag.len - 2};
		}
		if (piece_is(tag, "*") ||
		    (tag.len == strlen(etag) && memcmp(tag.text, etag, tag.len) == 0)) {
			return true;
		}
	}
	return false;
}
