/* SPDX-License-Identifier: MIT */

/*
 * Makes the benchmark's inputs, the same bytes for the same arguments on every machine:
 *
 *	make_data KIND BYTES SEED FILE
 *
 *	plain	10 columns of orders, nothing quoted
 *	quoted	every text quoted; 5 % of the rows with embedded newlines and UTF-8, 1 % with
 *doubled quotes wide	100 short columns long	few texts that make rows of about 670 bytes
 *
 * Stops with the row that reaches BYTES; prints rows= and bytes=. Random words are drawn from
 *tables and numbers are written by hand: printf would be slower than what is measured with the
 *result.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/util/fd.h"
#include "common/util/macro.h"
#include "common/util/num.h"

#define BLOCK_BYTES	(1 << 20)
#define LONGEST_ROW	4096
#define N_WIDE_COLUMNS	100
#define LONG_TEXT_BYTES 219

struct maker {
	uint64_t random; /* state of splitmix64 */
	uint64_t n_rows, n_bytes;
	int fd;
	size_t len;
	char block[BLOCK_BYTES + LONGEST_ROW];
};

struct kind {
	const char *name;
	const char *header; /* NULL: c1 to c100 */
	void (*row)(struct maker *maker);
};

static const char *const first_names[] = {"Ada",     "Grace",  "Linus",	 "Edsger",
					  "Barbara", "Donald", "Radia",	 "Ken",
					  "Frances", "Tony",   "Leslie", "Margaret"};
static const char *const last_names[] = {"Lovelace", "Hopper", "Novak",	  "Dijkstra",
					 "Liskov",   "Knuth",  "Perlman", "Ritchie",
					 "Allen",    "Hoare",  "Lamport", "Hamilton"};
static const char *const cities[] = {"Vienna", "Zurich", "Sao Paulo", "Lodz", "Tokyo", "New York",
				     "Lagos",  "Pune",	 "Reykjavik", "Oslo", "Quito", "Hanoi"};
static const char *const states[] = {"new", "paid", "packed", "shipped", "returned", "cancelled"};
static const char *const words[] = {"the",    "order",	   "was",    "left",   "with",
				    "a",      "neighbour", "behind", "green",  "door",
				    "after",  "noon",	   "please", "ring",   "twice",
				    "thanks", "fragile",   "heavy",  "parcel", "return"};
static const char *const foreign[] = {"Zürich",	    "São Paulo", "Łódź",   "東京",
				      "naïve café", "Reykjavík", "Привет", "😀 ok"};

#define PICK(maker, table) (table)[draw((maker), ARRAY_SIZE(table))]

/* splitmix64 (Steele, Lea and Flood 2014): a number below n, n below 2^32. */
static uint64_t draw(struct maker *maker, uint64_t n)
{
	uint64_t z = maker->random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	z ^= z >> 31;
	return (z >> 32) * n >> 32;
}

static void add(struct maker *maker, const char *text)
{
	size_t len = strlen(text);

	memcpy(maker->block + maker->len, text, len);
	maker->len += len;
}

static void add_char(struct maker *maker, char c)
{
	maker->block[maker->len++] = c;
}

/* At least n_digits, with zeros in front. */
static void add_number(struct maker *maker, uint64_t number, int n_digits)
{
	char digits[24];
	size_t at = sizeof(digits);

	for (int n = 0; n < n_digits || number > 0; n++) {
		digits[--at] = (char)('0' + number % 10);
		number /= 10;
	}
	memcpy(maker->block + maker->len, digits + at, sizeof(digits) - at);
	maker->len += sizeof(digits) - at;
}

static void add_price(struct maker *maker)
{
	add_number(maker, draw(maker, 500), 1);
	add_char(maker, '.');
	add_number(maker, draw(maker, 100), 2);
}

static void add_date(struct maker *maker)
{
	add_number(maker, 2019 + draw(maker, 8), 4);
	add_char(maker, '-');
	add_number(maker, 1 + draw(maker, 12), 2);
	add_char(maker, '-');
	add_number(maker, 1 + draw(maker, 28), 2);
}

static void add_name(struct maker *maker)
{
	add(maker, PICK(maker, first_names));
	add_char(maker, ' ');
	add(maker, PICK(maker, last_names));
}

/* Words up to about n_bytes. */
static void add_words(struct maker *maker, size_t n_bytes)
{
	size_t end = maker->len + n_bytes;

	add(maker, PICK(maker, words));
	while (maker->len + 10 < end) {
		add_char(maker, ' ');
		add(maker, PICK(maker, words));
	}
}

static void plain_row(struct maker *maker)
{
	add_number(maker, 1000000 + maker->n_rows, 1);
	add_char(maker, ',');
	add_number(maker, draw(maker, 1000000), 1);
	add_char(maker, ',');
	add_name(maker);
	add_char(maker, ',');
	add(maker, PICK(maker, cities));
	add(maker, ",SKU-");
	add_number(maker, draw(maker, 100000), 5);
	add_char(maker, ',');
	add_number(maker, 1 + draw(maker, 20), 1);
	add_char(maker, ',');
	add_price(maker);
	add_char(maker, ',');
	add_date(maker);
	add_char(maker, ',');
	add(maker, PICK(maker, states));
	add_char(maker, ',');
	add_number(maker, draw(maker, 2), 1);
}

static void quoted_row(struct maker *maker)
{
	uint64_t luck = draw(maker, 100);

	add_number(maker, 1 + maker->n_rows, 1);
	add(maker, ",\"");
	add_name(maker);
	add(maker, "\",\"");
	add(maker, luck < 5 ? PICK(maker, foreign) : PICK(maker, cities));
	add(maker, "\",\"");
	add_words(maker, 30);
	if (luck < 5) {
		add_char(maker, '\n');
		add(maker, PICK(maker, foreign));
	} else if (luck == 5) {
		add(maker, ", \"\"thanks\"\"");
	}
	add(maker, "\",\"");
	add_words(maker, 20);
	add(maker, "\",");
	add_price(maker);
}

static void wide_row(struct maker *maker)
{
	for (int column = 0; column < N_WIDE_COLUMNS; column++) {
		if (column > 0) {
			add_char(maker, ',');
		}
		switch (column % 4) {
		case 0:
			add_number(maker, draw(maker, 10000), 1);
			break;
		case 1:
			add_price(maker);
			break;
		case 2:
			add(maker, PICK(maker, words));
			break;
		default:
			add(maker, PICK(maker, states));
		}
	}
}

static void long_row(struct maker *maker)
{
	add_number(maker, 1 + maker->n_rows, 1);
	add_char(maker, ',');
	add_name(maker);
	for (int i = 0; i < 3; i++) {
		add_char(maker, ',');
		add_words(maker, LONG_TEXT_BYTES);
	}
	add_char(maker, ',');
	add_date(maker);
}

static const struct kind kinds[] = {
	{"plain", "order,customer,name,city,product,quantity,price,day,state,gift", plain_row},
	{"quoted", "id,name,city,note,remark,price", quoted_row},
	{"wide", NULL, wide_row},
	{"long", "id,name,first,second,third,day", long_row},
};

static void add_header(struct maker *maker, const struct kind *kind)
{
	if (kind->header != NULL) {
		add(maker, kind->header);
	}
	for (unsigned column = 1; kind->header == NULL && column <= N_WIDE_COLUMNS; column++) {
		add(maker, column > 1 ? ",c" : "c");
		add_number(maker, column, 1);
	}
	add_char(maker, '\n');
}

static int flush(struct maker *maker)
{
	int r = fd_write_all(maker->fd, maker->block, maker->len);

	maker->n_bytes += maker->len;
	maker->len = 0;
	return r;
}

static int make(struct maker *maker, const struct kind *kind, uint64_t n_bytes)
{
	add_header(maker, kind);
	while (maker->n_bytes + maker->len < n_bytes) {
		kind->row(maker);
		add_char(maker, '\n');
		maker->n_rows++;
		if (maker->len >= BLOCK_BYTES) {
			int r = flush(maker);

			if (r < 0) {
				return r;
			}
		}
	}
	return flush(maker);
}

static const struct kind *find_kind(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0) {
			return &kinds[i];
		}
	}
	return NULL;
}

int main(int argc, char **argv)
{
	static struct maker maker;
	const struct kind *kind = argc == 5 ? find_kind(argv[1]) : NULL;
	uint64_t n_bytes;

	if (kind == NULL || num_parse_u64(argv[2], &n_bytes) < 0 ||
	    num_parse_u64(argv[3], &maker.random) < 0) {
		fprintf(stderr, "usage: make_data plain|quoted|wide|long BYTES SEED FILE\n");
		return 2;
	}
	maker.fd = open(argv[4], O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	int r = maker.fd < 0 ? -errno : make(&maker, kind, n_bytes);

	if (r < 0) {
		fprintf(stderr, "make_data: %s: %s\n", argv[4], strerror(-r));
		return 1;
	}
	printf("rows=%" PRIu64 " bytes=%" PRIu64 "\n", maker.n_rows, maker.n_bytes);
	fd_close(maker.fd);
	return 0;
}
