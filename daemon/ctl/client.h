/* SPDX-License-Identifier: MIT */
#pragma once

#include <jansson.h>
#include <stdint.h>

#include "common/util/macro.h"
#include "daemon/ctl/api.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/spec_file.h"

/*
 * What commands ask of the daemon. All functions complain on stderr themselves and return an
 * enum ctl_exit: CTL_EXIT_UNREACHABLE without a daemon, CTL_EXIT_USAGE where it found the request
 * wrong, CTL_EXIT_FAILED for all else that went wrong. Documents are owned by the caller.
 */

int client_open(const struct ctl *ctl, struct api **ret_api) MUST_CHECK;

/* A reply other than 2xx is a complaint. */
int client_get(const struct ctl *ctl, struct api *api, const char *target, int64_t timeout_ns,
	       json_t **ret_document) MUST_CHECK;

/* "/api/v1/jobs/ID" and what follows it, e.g. "/workers"; complaints begin with the ID. */
int client_get_job(const struct ctl *ctl, struct api *api, const char *id, const char *suffix,
		   int64_t timeout_ns, json_t **ret_document) MUST_CHECK;

int client_cancel(const struct ctl *ctl, struct api *api, const char *id,
		  json_t **ret_document) MUST_CHECK;

int client_submit(const struct ctl *ctl, struct api *api, const struct spec_file *spec,
		  json_t **ret_document) MUST_CHECK;

/*
 * What a function of api.h has failed with, as a sentence without an end, and the code for it; for
 * who goes on after that.
 */
enum { CLIENT_ERROR_SIZE = 256 };
void client_error_text(const char *socket_path, int error, char *ret_text, size_t size);
enum ctl_exit client_exit_of_error(int error);

/* How long an answer may take that waits for nothing. */
#define CLIENT_TIMEOUT_NS (INT64_C(10) * 1000 * 1000 * 1000)

/* A json_t that goes with its scope; NULL is fine. */
void client_json_decrefp(json_t **document);
