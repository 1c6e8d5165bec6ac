/* SPDX-License-Identifier: MIT */
#pragma once

#include <microhttpd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "daemon/http/connection.h"
#include "daemon/http/listener.h"
#include "daemon/http/route.h"

/* One client and the request that it makes at the moment. */
struct peer {
	struct connection connection; /* first: the list knows only this */
	struct listener *listener;
	struct MHD_Connection *mhd;
	uid_t uid;
	pid_t pid;
	/* The request, if there is one. */
	struct request request;
	struct answer answer;
	struct exchange exchange;
	bool is_admitted;	   /* the head has been judged */
	const struct route *route; /* NULL then: the answer is made already */
	int target_error;
	int64_t wait_until_ns; /* while it is a long poll; else INT64_MAX */
	bool is_suspended;
	bool is_waiting; /* suspended as a long poll */
	bool is_gone;	 /* the client has closed meanwhile */
};

/* Callbacks for MHD_start_daemon(); cls is the listener. */
void peer_on_connection(void *cls, struct MHD_Connection *mhd, void **socket_context,
			enum MHD_ConnectionNotificationCode code);
void *peer_on_uri(void *cls, const char *uri, struct MHD_Connection *mhd);
enum MHD_Result peer_on_request(void *cls, struct MHD_Connection *mhd, const char *url,
				const char *method, const char *version, const char *data,
				size_t *data_len, void **request_context);
void peer_on_completed(void *cls, struct MHD_Connection *mhd, void **request_context,
		       enum MHD_RequestTerminationCode code);

/* Calls the handler again, in the library's next run. Does nothing unless it is suspended. */
void peer_resume(struct peer *peer);
