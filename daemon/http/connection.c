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

	connection->phase = phase;
	connection->deadline_ns = time_ns[phase] > 0 ? now_ns + time_ns[phase] : INT64_MAX;
	TAILQ_REMOVE(&list->head, connection, link);
	TAILQ_INSERT_TAIL(&list->head, connection, link);
}

void connection_shut(struct connection_list *list, struct connection *connection)
{
	if (!connection->is_shut) {
		connection->is_shut = true;
		list->n_open--;
		shutdown(connection->fd, SHUT_RDWR);
	}
}

bool connection_is_gone(const struct connection *connection)
{
	char byte;

	return recv(connection->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}
