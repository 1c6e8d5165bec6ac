/* SPDX-License-Identifier: MIT */
/* The form is that of a compiler's messages, so that editors jump to the place. */
#include "common/model/spec_error.h"

#include <errno.h>

#include "common/util/buf.h"

int spec_error_render(const struct spec_error *error, const char *file_name, char **ret_line)
{
	struct buf line = BUF_INIT;

	buf_printf(&line, "%s:%u:%u: ", file_name, error->line, error->column);
	if (error->json_path[0]) {
		buf_printf(&line, "%s: ", error->json_path);
	}
	buf_add_str(&line, error->message);
	if (error->suggestion[0]) {
		buf_printf(&line, " (did you mean \"%s\"?)", error->suggestion);
	}
	*ret_line = buf_take(&line);
	return *ret_line ? 0 : -ENOMEM;
}
