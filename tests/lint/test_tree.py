# SPDX-License-Identifier: MIT
"""The house's rules and the ready linters, over every file of the checkout."""
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

import checks

TOP = Path(__file__).resolve().parents[2]
BUILD = TOP / os.environ.get("ZP_BUILD", "build")
SKIPPED = re.compile(r"^(\.git|build.*|__pycache__|\.pytest_cache|\.hypothesis|\.cache)$")
JOBS = str(os.cpu_count())


def tree():
    """Every file of the checkout, as paths from the top."""
    for folder, folders, names in os.walk(TOP):
        folders[:] = [name for name in folders if not SKIPPED.match(name)]
        for name in names:
            yield str(Path(folder, name).relative_to(TOP))


FILES = sorted(tree())
SOURCES = [path for path in FILES if path.endswith(".c")]
HEADERS = [path for path in FILES if path.endswith(".h")]
# Inputs and corpora may hold any bytes.
TEXTS = [path for path in FILES if not re.match(r"tests/.*(corpus|specs|data)/", path)]
SCRIPTS = [path for path in TEXTS if (TOP / path).read_bytes()[:64].startswith((b"#!/bin/bash", b"#!/bin/sh"))]
PYTHON = [path for path in TEXTS
          if path.endswith(".py") or (TOP / path).read_bytes()[:64].startswith(b"#!/usr/bin/python3")]


def run(*args):
    """The tool's words if it failed, else nothing."""
    done = subprocess.run(args, cwd=TOP, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout if done.returncode else ""


def complaints_of(check, paths):
    return [f"{path}:{complaint}" for path in paths for complaint in check(path, (TOP / path).read_text())]


def report(complaints):
    """Fail with the complaints, a list of lines or a tool's output, if there are any."""
    if complaints:
        pytest.fail(complaints if isinstance(complaints, str) else "\n".join(complaints), pytrace=False)


@pytest.mark.parametrize("check", checks.C_CHECKS, ids=lambda check: check.__name__)
def test_c_files_keep_the_house_rule(check):
    report(complaints_of(check, SOURCES + HEADERS))


def test_every_text_is_clean():
    report(complaints_of(checks.check_text, TEXTS))


def test_scripts_and_python_carry_the_licence():
    report(complaints_of(checks.check_head, SCRIPTS + PYTHON))


def test_the_top_holds_what_belongs_there():
    report(checks.check_top_level(os.listdir(TOP)))


def test_clang_format_has_nothing_to_change():
    report(run("clang-format", "--dry-run", "-Werror", *SOURCES, *HEADERS))


def test_every_header_compiles_alone():
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-Wno-unused-parameter",
             "-I.", f"-I{BUILD}", "-fsyntax-only", "-x", "c", "/dev/null", "-include"]
    # A header for an instruction set needs a compiler that may use it.
    needs_vectors = re.compile(r"/simd_(avx|utf8)")
    vectors = ["-march=icelake-server"] if os.uname().machine == "x86_64" else None
    said = [run("gcc", *(vectors if needs_vectors.search(header) else []), *flags, header)
            for header in HEADERS if vectors or not needs_vectors.search(header)]
    report([words for words in said if words])


def compiled_sources():
    """The sources of the programs; a test's own idioms are judged by the compilers alone."""
    commands = json.loads((BUILD / "compile_commands.json").read_text())
    files = {os.path.relpath(Path(entry["directory"], entry["file"]).resolve(), TOP) for entry in commands}
    return sorted(path for path in files if path.startswith(("common/", "daemon/")))


def test_clang_tidy_is_silent():
    # gcc's database holds a few flags that clang does not know; they are not what is judged here.
    sources = [f"/{path}$" for path in compiled_sources()]
    said = run("run-clang-tidy", "-quiet", "-p", str(BUILD), "-j", JOBS, "-extra-arg=-Wno-unknown-warning-option",
               *sources)
    # A header's fault is told once for every source that includes it.
    plain = re.sub(r"\x1b\[[0-9;]*m", "", said)
    report(sorted(set(re.findall(r"^.*(?:error|warning): .*$", plain, flags=re.M))) or plain)


# It knows nothing of cleanup attributes, of statement expressions or of the list macros; the
# compilers and the sanitizers do.
CPPCHECK_DEAF = ["resourceLeak", "memleak", "leakReturnValNotUsed", "uninitvar", "internalAstError", "missingIncludeSystem"]


def test_cppcheck_is_silent():
    report(run(
        "cppcheck", "--quiet", "--std=c11", "--error-exitcode=1", "--inline-suppr", "-j", JOBS, "-I.",
        "--enable=warning", "-D_GNU_SOURCE", "--library=posix,gnu",
        *[f"--suppress={name}" for name in CPPCHECK_DEAF],
        *[path for path in SOURCES if path.startswith(("common/", "daemon/"))]))


def test_shellcheck_is_silent():
    report(run("shellcheck", *SCRIPTS))


def test_python_compiles():
    for path in PYTHON:
        compile((TOP / path).read_text(), path, "exec")


def test_mandoc_is_silent():
    pages = [path for path in FILES if re.search(r"/man/.*\.[1-8]$", path)]
    if not pages:
        pytest.skip("no man pages yet")
    report(run("mandoc", "-Tlint", "-Wwarning", *pages))


def test_systemd_accepts_the_unit(tmp_path):
    if not shutil.which("systemd-analyze"):
        pytest.skip("no systemd-analyze here")
    units = [path for path in FILES if re.match(r"systemd/.*\.(service|socket)$", path)]
    if not units:
        pytest.skip("no units yet")
    # Verify looks for the program too: name the one that was built.
    program = BUILD / "zooparalleld"
    complaints = []
    (tmp_path / "zooparallel.service.d").mkdir()
    shutil.copy(TOP / "systemd" / "no-hooks.conf", tmp_path / "zooparallel.service.d")
    for unit in units:
        copy = tmp_path / Path(unit).name
        copy.write_text(re.sub(r"^(ExecStart=)\S+", rf"\g<1>{program if program.exists() else '/bin/true'}",
                               (TOP / unit).read_text(), flags=re.M))
        complaints.append(run("systemd-analyze", "verify", "--man=no", str(copy)))
    report([said for said in complaints if said])
