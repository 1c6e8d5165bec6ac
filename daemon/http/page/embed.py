#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The status page as C: embed.py OUTPUT PAGE.html STYLE.css... SCRIPT.js...

The styles and the scripts, in the order given, go into the frame, so that a browser asks for one
file. The policy that is served with it names both by their hashes: nothing else can run or be
loaded, whatever stands in the page. The compressed form is made here, once and at its best.
"""
import base64
import gzip
import hashlib
import sys
from pathlib import Path

STYLE = "<style></style>"
SCRIPT = '<script type="module"></script>'


def joined(paths):
    return "\n" + "\n".join(path.read_text(encoding="utf-8") for path in paths)


def put_in(frame, element, text):
    """The frame with a text inside its one empty element, which the text cannot end."""
    opening, closing = element.split("</")
    if frame.count(element) != 1 or "</" + closing[:-1] in text.lower():
        sys.exit(f"embed.py: {element} must stand once in the page, and its text must not end it")
    return frame.replace(element, f"{opening}{text}</{closing}")


def hash_of(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def policy(style, script):
    return "; ".join([
        "default-src 'none'", f"style-src {hash_of(style)}", f"script-src {hash_of(script)}", "img-src data:",
        "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
        "require-trusted-types-for 'script'", "trusted-types 'none'"])


def c_bytes(name, data):
    rows = [", ".join(str(byte) for byte in data[i:i + 24]) for i in range(0, len(data), 24)]
    return f"static const unsigned char {name}[] = {{\n\t" + ",\n\t".join(rows) + ",\n};\n"


def main():
    output, frame, *parts = map(Path, sys.argv[1:])
    style, script = (joined(path for path in parts if path.suffix == suffix) for suffix in (".css", ".js"))
    html = put_in(put_in(frame.read_text(encoding="utf-8"), STYLE, style), SCRIPT, script).encode()
    output.write_text(
        "/* Made by embed.py. */\n"
        '#include "daemon/http/page.h"\n\n'
        + c_bytes("html", html) + c_bytes("packed", gzip.compress(html, 9, mtime=0)) +
        "const struct page page_status = {\n"
        "\t.html = html, .html_len = sizeof(html), .gzip = packed, .gzip_len = sizeof(packed),\n"
        f'\t.policy = "{policy(style, script)}",\n}};\n', encoding="utf-8")


if __name__ == "__main__":
    main()
