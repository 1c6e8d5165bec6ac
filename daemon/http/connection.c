/* SPDX-License-Identifier: MIT */
/*
 * One queue in the order of the last change of phase: its head is who has been slow for longest.
 * A connection is never closed here, only shut down: the library owns the descriptor, sees the end
 * of the stream, and closes in its own time.
 */
#include "daemon/http/connection.h"

#include <sys/socket.h>

void connection_list_init(struct connection_list *list, size_t limit)
{
	*list = (struct connection_list){.limit = limit};
	TAILQ_INIT(&list->head);
}

/* The slowest of those that keep us waiting. */
static void evict_one(struct connection_list *list)
{
	struct connection *connection;

	TAILQ_FOREACH(connection, &list->head, link)
	{
		if (connection->phase != CONNECTION_WORKING && !connection->is_shut) {
			connection_shut(list, connection);
			return;
		}
	}
}

/* The slowest in taking their answers, until what is left is within the bound. */
static void evict_writers(struct connection_list *list, const struct connection *spared)
{
	struct connection *connection;

	TAILQ_FOREACH(connection, &list->head, link)
	{
		if (list->answer_bytes <= CONNECTION_MAX_ANSWER_BYTES) {
			return;
		}
		if (connection->answer_bytes > 0 && connection != spared) {
			connection_shut(list, connection);
		}
	}
}

static void forget_answer(struct connection_list *list, struct connection *connection)
{
	list->answer_bytes -= connection->answer_bytes;
	connection->answer_bytes = 0;
}

void connection_add(struct connection_list *list, struct connection *connection, int fd,
		    int64_t now_ns)
{
	if (list->n_open >= list->limit - list->limit / 4) {
		evict_one(list);
	}
	*connection = (struct connection){.fd = fd};
	TAILQ_INSERT_TAIL(&list->head, connection, link);
	list->n_open++;
	connection_set_phase(list, connection, CONNECTION_OPENED, now_ns);
}

void connection_remove(struct connection_list *list, struct connection *connection)
{
	forget_answer(list, connection);
	TAILQ_REMOVE(&list->head, connection, link);
	list->n_open -= !connection->is_shut;
}

void connection_set_phase(struct connection_list *list, struct connection *connection,
			  enum connection_phase phase, int64_t now_ns)
{
	static const int64_t time_ns[] = {
		[CONNECTION_OPENED] = CONNECTION_REQUEST_NS,
		[CONNECTION_READING] = CONNECTION_REQUEST_NS,
		[CONNECTION_WORKING] = 0,
		[CONNECTION_WRITING] = CONNECTION_WRITE_NS,
		[CONNECTION_IDLE] = CONNECTION_IDLE_NS,
	};

	forget_answer(list, connection);
	connection->phase = phase;
	connection->deadline_ns = time_ns[phase] > 0 ? now_ns + time_ns[phase] : INT64_MAX;
	TAILQ_REMOVE(&list->head, connection, link);
	TAILQ_INSERT_TAIL(&list->head, connection, link);
}

void connection_set_writing(struct connection_list *list, struct connection *connection,
			    size_t answer_bytes, int64_t now_ns)
{
	connection_set_phase(list, connection, CONNECTION_WRITING, now_ns);
	if (!connection->is_shut) {
		connection->answer_bytes = answer_bytes;
		list->answer_bytes += answer_bytes;
		evict_writers(list, connection);
	}
}

void connection_shut(struct connection_list *list, struct connection *connection)
{
	if (!connection->is_shut) {
		connection->is_shut = true;
		list->n_open--;
		forget_answer(list, connection);
		shutdown(connection->fd, SHUT_RDWR);
	}
}

bool connection_is_gone(const struct connection *connection)
{
	char byte;

	return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}
