# SPDX-License-Identifier: MIT
"""What the Debian package repeats of the tree, because its format wants it said there: it must agree."""
import re
from pathlib import Path

TOP = Path(__file__).resolve().parents[2]
# A Debian package may take these for granted: build-essential, and what meson itself depends on.
TAKEN_FOR_GRANTED = {"gcc", "libc6-dev", "ninja-build"}


def text_of(path):
    return (TOP / path).read_text()


def test_the_version_is_one():
    [version] = re.findall(r"^\s*version: '(.*)',$", text_of("meson.build"), flags=re.M)
    newest = re.findall(r"^zooparallel \((.*?)\)", text_of("conf/debian/changelog"), flags=re.M)[0]
    assert newest == version, "conf/debian/changelog: give the new version an entry"
    assert re.findall(r"^## (\S+)", text_of("NEWS.md"), flags=re.M)[0] == version, "NEWS.md: likewise"


def test_the_package_is_built_with_what_the_build_needs():
    [field] = re.findall(r"^Build-Depends:(.*(?:\n[ \t].*)*)", text_of("conf/debian/control"), flags=re.M)
    said = {entry.split()[0] for entry in field.split(",")}
    needed = set(re.findall(r"^build (\S+)$", text_of("conf/packages.txt"), flags=re.M))
    assert needed - TAKEN_FOR_GRANTED == said - {"debhelper-compat", "dh-sequence-installsysusers"}
