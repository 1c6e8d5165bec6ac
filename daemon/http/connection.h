/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

/*
 * The open connections of one socket, and how long each may take. The HTTP library's own timeout
 * starts anew with every byte, so a client that sends one a second would hold its place for ever:
 * here a whole phase has a deadline. And where places get scarce, above 3/4 of the limit, the
 * connection that has been slow for longest loses its own. So does the one that has been longest in
 * taking its answer, where answers not taken fill CONNECTION_MAX_ANSWER_BYTES.
 */

#define CONNECTION_REQUEST_NS                                                                      \
	INT64_C(10000000000)			 /* from accept, or first line, to the last byte */
#define CONNECTION_IDLE_NS  INT64_C(30000000000) /* between two requests */
#define CONNECTION_WRITE_NS INT64_C(30000000000) /* for the client to take its answer */
#define CONNECTION_LAST_NS  INT64_C(100000000)	 /* the same, if the client has closed its side */

#define CONNECTION_MAX_ANSWER_BYTES ((size_t)64 * 1024 * 1024)

enum connection_phase {
	CONNECTION_OPENED,  /* nothing has come yet */
	CONNECTION_READING, /* a request is incomplete */
	CONNECTION_WORKING, /* we have it and make the client wait; never evicted */
	CONNECTION_WRITING,
	CONNECTION_IDLE, /* answered; another request may come */
};

struct connection {
	TAILQ_ENTRY(connection) link;
	int fd; /* borrowed from the HTTP library, which closes it */
	enum connection_phase phase;
	int64_t deadline_ns; /* INT64_MAX: none */
	size_t answer_bytes; /* held in memory while WRITING */
	bool is_shut;	     /* told to go; the library will find it closed */
};

struct connection_list {
	TAILQ_HEAD(connection_head, connection) head; /* longest in its phase first */
	size_t n_open;				      /* without those that are shut */
	size_t limit;
	size_t answer_bytes; /* of those that are not shut */
};

void connection_list_init(struct connection_list *list, size_t limit);

/* Evicts one other if the list is above 3/4 of its limit. */
void connection_add(struct connection_list *list, struct connection *connection, int fd,
		    int64_t now_ns);
void connection_remove(struct connection_list *list, struct connection *connection);

/* Begins a phase: a new deadline (none when WORKING), and the end of the queue of the slow. */
void connection_set_phase(struct connection_list *list, struct connection *connection,
			  enum connection_phase phase, int64_t now_ns);

/* Begins the phase WRITING with an answer of that size; may evict others (never this one). */
void connection_set_writing(struct connection_list *list, struct connection *connection,
			    size_t answer_bytes, int64_t now_ns);

/* shutdown(2): both sides find it closed. */
void connection_shut(struct connection_list *list, struct connection *connection);

/* Whether the client has closed, which the library does not see while a connection is suspended. */
bool connection_is_gone(const struct connection *connection);
