# SPDX-License-Identifier: MIT
"""Every check of checks.py complains about a breach of its rule, and about nothing in good code."""
import pytest

import checks

HEAD = "/* SPDX-License-Identifier: MIT */\n/*\n * Why it is built this way.\n */\n"
LONG_BODY = "\tx();\n"

BREACHES = [
    (checks.check_arrows, "common/util/a.c", '#include "common/model/spec.h"\n'),
    (checks.check_arrows, "daemon/worker/a.c", '#include "daemon/sched/pool.h"\n'),
    (checks.check_arrows, "daemon/sched/a.c", '#include "daemon/http/server.h"\n'),
    (checks.check_arrows, "daemon/sched/a.c", '#include "daemon/pipe/scan.h"\n'),
    (checks.check_arrows, "daemon/ctl/a.c", '#include "daemon/core/loop.h"\n'),
    (checks.check_arrows, "daemon/http/a.c", '#include "server.h"\n'),
    (checks.check_homes, "daemon/core/a.c", "#include <microhttpd.h>\n"),
    (checks.check_homes, "daemon/http/a.c", "#include <systemd/sd-event.h>\n"),
    (checks.check_homes, "daemon/core/a.c", "#include <pthread.h>\n"),
    (checks.check_homes, "daemon/http/a.c", "#include <curses.h>\n"),
    (checks.check_calls, "common/util/a.c", "\tn = strtol(text, NULL, 10);\n"),
    (checks.check_calls, "common/util/a.c", "\tsprintf(out, fmt);\n"),
    (checks.check_calls, "daemon/core/a.c", "\texit(1);\n"),
    (checks.check_calls, "daemon/http/a.c", "\t_exit(1);\n"),
    (checks.check_sizes, "a.c", "int f(void)\n{\n" + LONG_BODY * 81 + "}\n"),
    (checks.check_sizes, "a.c", "\n" * 601),
    (checks.check_nesting, "a.c", "int f(void)\n{\n" + "if (a) {\n" * 5 + "}\n" * 6),
    (checks.check_head, "a.c", "#include <stdio.h>\n"),
    (checks.check_head, "a.h", "/* SPDX-License-Identifier: MIT */\nint a;\n"),
    (checks.check_head, "run", "#!/bin/sh\necho\n"),
    (checks.check_design_comment, "common/util/a.c", "/* SPDX-License-Identifier: MIT */\n#include <stdio.h>\n"),
    (checks.check_dead_code, "a.c", "#if 0\n#endif\n"),
    (checks.check_dead_code, "a.c", "\t/* free(buffer); */\n"),
    (checks.check_dead_code, "a.c", "\t// n = n + 1;\n"),
    (checks.check_dead_code, "a.c", "/*\n * if (fd < 0) {\n */\n"),
    (checks.check_typedefs, "a.h", "typedef struct job job_t;\n"),
    (checks.check_text, "a", "see /" + "home/someone/file\n"),
    (checks.check_text, "a", "blank \n"),
    (checks.check_text, "a", "no newline"),
]

GOOD = HEAD + """
#include <errno.h>
#include "common/util/buf.h"

/* A caller that exit()s too early sees nothing: the strcpy() of old is gone. */
int buf_add(struct buf *buf)
{
\tlog_info("system(3) says: exit(1); /* no */");
\tbuf->exit(buf);
\treturn 0;
}
"""


@pytest.mark.parametrize("check,path,text", BREACHES, ids=lambda value: getattr(value, "__name__", None))
def test_a_breach_is_found(check, path, text):
    assert check(path, text)


@pytest.mark.parametrize("check", [*checks.C_CHECKS, checks.check_text], ids=lambda check: check.__name__)
def test_good_code_is_left_alone(check):
    assert check("common/util/buf.c", GOOD) == []


def test_a_stranger_at_the_top_is_found():
    assert checks.check_top_level(["src", "daemon", "build-asan", ".ci"]) == ["src: does not belong at the top"]
