/* SPDX-License-Identifier: MIT */
/* `zooparallel validate`: every spec is judged, however many of them are bad. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/util/macro.h"
#include "daemon/ctl/client.h"
#include "daemon/ctl/ctl.h"
#include "daemon/ctl/output.h"
#include "daemon/ctl/spec_file.h"
#include "daemon/ctl/term.h"
#include "daemon/ctl/text.h"

/* The same members whatever is wrong; what there is no word for is null. */
static json_t *error_document(int r, const struct spec_error *error)
{
	if (r != -EINVAL) {
		return json_pack("{s:n, s:n, s:n, s:s, s:n}", "path", "line", "column", "message",
				 strerror(-r), "suggestion");
	}
	return json_pack("{s:s?, s:i, s:i, s:s?, s:s?}", "path", error->json_path, "line",
			 (int)error->line, "column", (int)error->column, "message", error->message,
			 "suggestion", error->suggestion[0] ? error->suggestion : NULL);
}

static int validate_json(int n_specs, char **paths)
{
	CLEANUP(client_json_decrefp) json_t *all = json_array();
	int code = CTL_EXIT_COMPLETED;

	for (int i = 0; i < n_specs; i++) {
		CLEANUP(spec_file_deinit) struct spec_file spec = SPEC_FILE_INIT;
		struct spec_error error;
		int r = spec_file_load(paths[i], &spec, &error);
		json_t *one = json_pack("{s:s, s:b, s:s?, s:o?}", "file", paths[i], "valid", r == 0,
					"name", spec.job_name, "error",
					r < 0 ? error_document(r, &error) : NULL);

		if (!one || json_array_append_new(all, one) < 0) {
			term_error("%s: no JSON can tell the result", paths[i]);
			return CTL_EXIT_FAILED;
		}
		code = r < 0 ? CTL_EXIT_USAGE : code;
	}
	return output_json(all) ? CTL_EXIT_FAILED : code;
}

static int validate_text(int n_specs, char **paths)
{
	int code = CTL_EXIT_COMPLETED;

	for (int i = 0; i < n_specs; i++) {
		CLEANUP(spec_file_deinit) struct spec_file spec = SPEC_FILE_INIT;
		CLEANUP(buf_deinit) struct buf line = BUF_INIT;

		if (spec_file_load_or_complain(paths[i], &spec)) {
			code = CTL_EXIT_USAGE;
			continue;
		}
		text_add_clean(&line, paths[i]);
		buf_printf(&line, ": valid, job %s\n", spec.job_name);
		if (output_text(&line)) {
			return CTL_EXIT_FAILED;
		}
	}
	return code;
}

int cmd_validate(struct ctl *ctl, int argc, char **argv)
{
	static const struct option options[] = {{0}};
	int option = ctl_option_next(ctl, argc, argv, options);

	if (option != CTL_OPTION_END) {
		return ctl_option_exit(option);
	}
	if (optind == argc) {
		return ctl_usage_error(ctl, "which spec?");
	}
	return ctl->json ? validate_json(argc - optind, argv + optind)
			 : validate_text(argc - optind, argv + optind);
}
