# SPDX-License-Identifier: MIT
"""The house's own rules as pure functions: (path from the top, text) -> complaints "line: what".

Only what no ready tool checks. test_checks.py shows each of them a breach of its rule.
"""
import re

MAX_FUNCTION_LINES = 80
MAX_FILE_LINES = 600
MAX_LEVELS = 4

# What each room may include of the house's own headers; main.c of the daemon wires the supervisor.
ARROWS = {
    "common/util/": ["common/util/"],
    "common/model/": ["common/"],
    "daemon/pipe/": ["common/", "daemon/pipe/"],
    "daemon/worker/": ["common/", "daemon/pipe/", "daemon/worker/"],
    "daemon/core/": ["common/", "daemon/core/"],
    "daemon/spool/": ["common/", "daemon/core/", "daemon/spool/"],
    "daemon/sched/": ["common/", "daemon/core/", "daemon/sched/"],
    "daemon/http/": ["common/", "daemon/core/", "daemon/http/"],
    "daemon/ctl/": ["common/", "daemon/ctl/"],
    "daemon/main.c": ["common/", "daemon/core/", "daemon/spool/", "daemon/sched/", "daemon/http/"],
}
GENERATED = ["build_config.h"]

# Foreign headers that have one home; None: no home at all.
HOMES = [
    (r"microhttpd\.h", "daemon/http/"),
    (r"systemd/.*", "daemon/core/"),
    (r"curl/.*", "daemon/ctl/"),
    (r"n?curses\w*\.h", "daemon/ctl/"),
    (r"confuse\.h", "daemon/core/"),
    (r"(seccomp|linux/landlock|linux/seccomp)\.h", "daemon/worker/"),
    (r"(pthread|threads)\.h", None),
]

FORBIDDEN_CALLS = {
    name: hint
    for names, hint in [
        ("strtol strtoll strtoul strtoull strtod atoi atol atoll atof", "parse with common/util"),
        ("sprintf vsprintf strcpy strcat strncpy strncat gets", "has no bound or no end"),
        ("system popen", "a shell"),
        ("strtok alloca asctime ctime gmtime localtime rand srand tmpnam tempnam mktemp", "unsafe"),
        ("signal vfork", "has a better successor"),
    ]
    for name in names.split()
}
EXITS = ["exit", "_exit", "_Exit", "quick_exit"]
# main decides how a process ends; a child between fork and exec has no main to return to.
MAY_EXIT = re.compile(r"(^|/)main\.c$|^tests/")
MAY_UNDERSCORE_EXIT = re.compile(r"^daemon/core/|^daemon/sched/|^daemon/ctl/|^common/util/")


def without_comments(text):
    """The text with comments and the insides of literals blanked out, line for line."""
    def blank(match):
        token = match.group(0)
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return re.sub(r"[^\n]", " ", token)
    return re.sub(r"/\*.*?\*/|//[^\n]*|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])*'", blank, text, flags=re.S)


def _find(pattern, text):
    for match in re.finditer(pattern, text, flags=re.M):
        yield text.count("\n", 0, match.start()) + 1, match


def includes(text):
    """(line, bracket, name) of every include."""
    return [(line, match[1], match[2]) for line, match in _find(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^">]+)', text)]


def check_arrows(path, text):
    room = next((room for room in ARROWS if path.startswith(room)), None)
    if room is None:
        return []
    return [f"{line}: {room} must not include {name}" for line, bracket, name in includes(text)
            if bracket == '"' and name not in GENERATED
            and not any(name.startswith(allowed) for allowed in ARROWS[room])]


def check_homes(path, text):
    complaints = []
    for line, bracket, name in includes(text):
        for pattern, home in HOMES:
            if bracket == "<" and re.fullmatch(pattern, name) and not (home and path.startswith((home, "tests/"))):
                complaints.append(f"{line}: {name} belongs {'in ' + home if home else 'nowhere'}")
    return complaints


def check_calls(path, text):
    code = without_comments(text)
    complaints = []
    for line, match in _find(r"(?<![\w.>])(\w+)[ \t]*\(", code):
        name = match[1]
        if name in FORBIDDEN_CALLS:
            complaints.append(f"{line}: {name}: {FORBIDDEN_CALLS[name]}")
        if name in EXITS and not MAY_EXIT.search(path):
            if name != "_exit" or not MAY_UNDERSCORE_EXIT.search(path):
                complaints.append(f"{line}: {name}() below main")
    return complaints


def check_sizes(path, text):
    lines = text.splitlines()
    complaints = []
    if len(lines) > MAX_FILE_LINES:
        complaints.append(f"{len(lines)}: file of more than {MAX_FILE_LINES} lines")
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start is not None:
            if number - start - 1 > MAX_FUNCTION_LINES:
                complaints.append(f"{start}: function of {number - start - 1} lines")
            start = None
    return complaints


def check_nesting(path, text):
    """Blocks inside a function, counted by braces, which every block has."""
    complaints, depth = [], 0
    for number, line in enumerate(without_comments(text).splitlines(), 1):
        depth += line.count("{") - line.count("}")
        # Only code: an initialiser's braces end on their own line or with a comma.
        if depth > MAX_LEVELS + 1 and line.rstrip().endswith(") {"):
            complaints.append(f"{number}: nested more than {MAX_LEVELS} levels")
    return complaints


def check_head(path, text):
    """The licence line first; in a C file also what the kind of file asks for."""
    first = text.split("\n", 2)
    n_head = 2 if text.startswith("#!") else 1
    complaints = []
    if not any("SPDX-License-Identifier: MIT" in line for line in first[:n_head]):
        complaints.append("1: no SPDX line")
    if path.endswith(".h") and "#pragma once" not in text:
        complaints.append("1: no #pragma once")
    if path.endswith(".c") and not re.match(r"/\* SPDX[^\n]*\*/\n(\n?)/\*|/\* SPDX[^*]*\*/\n", text):
        complaints.append("1: the SPDX line is not a comment of its own")
    return complaints


def check_design_comment(path, text):
    """A source begins with why it is built this way, before its first include."""
    head = text.split("#include", 1)[0]
    if path.startswith(("common/", "daemon/")) and path.endswith(".c") and head.count("/*") < 2:
        return ["1: no design comment before the first include"]
    return []


# What a line of prose does not end or begin like.
CODE = re.compile(r"(^|[\w)\]]\s*)(=[^=].*|\w+\(.*\))\s*;$"
                  r"|^(if|for|while|switch) ?\(.*\) ?\{?$"
                  r"|^(return|#define|#include)\b.*[;>\"]$")


def check_dead_code(path, text):
    """Commented-out code: #if 0, or a comment's line that reads as a statement."""
    complaints = [f"{line}: #if 0" for line, _ in _find(r"^[ \t]*#[ \t]*if[ \t]+0\b", text)]
    for match in re.finditer(r"/\*.*?\*/|//[^\n]*", without_strings(text), flags=re.S):
        first = text.count("\n", 0, match.start()) + 1
        for line, row in enumerate(match[0].split("\n"), first):
            row = row.strip("/* \t")
            if CODE.search(row):
                complaints.append(f"{line}: commented-out code: {row[:50]}")
    return complaints


def without_strings(text):
    return re.sub(r"\"(?:\\.|[^\"\\\n])*\"", '""', text)


def check_typedefs(path, text):
    return [f"{line}: typedef of a {match[1]}"
            for line, match in _find(r"^[ \t]*typedef[ \t]+(struct|enum|union)\b", without_comments(text))]


def check_text(path, text):
    """Any text file: no machine's absolute paths, no trailing blanks, no windows line ends."""
    complaints = [f"{line}: a path of one machine: {match[0]}"
                  for line, match in _find(r"(?<![\w.])/(home|work|Users|root|tmp/zp)/[\w.-]+", text)]
    complaints += [f"{line}: trailing blanks" for line, _ in _find(r"[ \t]+$", text)]
    if "\r" in text:
        complaints.append("1: carriage returns")
    if text and not text.endswith("\n"):
        complaints.append(f"{text.count(chr(10)) + 1}: no newline at the end")
    return complaints


TOP_LEVEL = {
    "meson.build", "meson_options.txt", "common", "daemon", "conf", "systemd", "tests",
    "README.md", "bootstrap", "LICENSE", "NEWS.md",
}


def check_top_level(names):
    return [f"{name}: does not belong at the top" for name in sorted(names)
            if name not in TOP_LEVEL and not name.startswith(".") and not re.match(r"build(-|$)", name)]


C_CHECKS = [check_arrows, check_homes, check_calls, check_sizes, check_nesting, check_head, check_design_comment,
            check_dead_code, check_typedefs]
