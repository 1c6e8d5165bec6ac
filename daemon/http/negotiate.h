/* SPDX-License-Identifier: MIT */
#pragma once

#include <stdbool.h>

/* What the client can take (RFC 9110, section 12). A header that is NULL takes anything. */

enum negotiate_metrics {
	NEGOTIATE_PROMETHEUS_TEXT, /* text/plain; version=0.0.4 */
	NEGOTIATE_OPENMETRICS,	   /* application/openmetrics-text; version=1.0.0 */
};

/* OpenMetrics only where it is named and preferred: every client reads the older text. */
enum negotiate_metrics negotiate_metrics(const char *accept);

/* Whether Accept-Encoding allows gzip; without the header nothing is compressed. */
bool negotiate_gzip(const char *accept_encoding);

/* Whether If-None-Match names this ETag (weak comparison; quotes are part of the tag). */
bool negotiate_none_match(const char *if_none_match, const char *etag);
