# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Each file of an archive is compiled once, and is what it would be without that."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import compile_once

FOLDER = compile_once.PACKAGE.replace(".", "/")
# What the code prints is the answer; `compiled` counts how often which file of ours was compiled.
BEGIN = f"""
import collections, importlib, json, sys, traceback
compiled = collections.Counter()
sys.addaudithook(lambda event, given: compiled.update([str(given[1]).rpartition("/")[2]]) if event == "compile" and given[1] else None)
sys.path.insert(0, sys.argv[1])
from {compile_once.PACKAGE}.compile_once import compile_once
compile_once()
compile_once()
"""


@pytest.fixture(name="archive")
def fixture_archive(tmp_path):
    with zipfile.ZipFile(tmp_path / "module.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        parts = FOLDER.split("/")
        for count in range(1, len(parts) + 1):
            archive.writestr("/".join(parts[:count]) + "/__init__.py", "")
        archive.write(compile_once.__file__, f"{FOLDER}/compile_once.py")
        archive.writestr(f"{FOLDER}/first.py", f"from {compile_once.PACKAGE} import second\n\n\ndef fail():\n    raise ValueError('of first')  # this line\n")
        archive.writestr(f"{FOLDER}/second.py", "VALUE = 2\n")
        archive.writestr(f"{FOLDER}/inner/__init__.py", "from . import deep\n")
        archive.writestr(f"{FOLDER}/inner/deep.py", "VALUE = 3\n")
        archive.writestr(f"{FOLDER}/broken.py", "def\n")
    return tmp_path / "module.zip"


def answer(archive, code):
    """What CODE prints as JSON in a Python of its own."""
    ended = subprocess.run([sys.executable, "-B", "-I", "-c", BEGIN + code, str(archive)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_each_file_is_compiled_once(archive):
    code = f"from {compile_once.PACKAGE} import first, second\nprint(json.dumps([compiled['first.py'], compiled['second.py'], first.second.VALUE]))"
    assert answer(archive, code) == [1, 1, 2]


def test_it_is_the_module_that_it_would_be(archive):
    code = f"""
from {compile_once.PACKAGE} import first
try:
    first.fail()
except ValueError:
    print(json.dumps([first.__name__, first.__package__, first.__file__, first.__loader__.archive, traceback.format_exc()]))
"""
    name, package, path, loader, words = answer(archive, code)
    assert (name, package) == (f"{compile_once.PACKAGE}.first", compile_once.PACKAGE)
    assert (path, loader) == (f"{archive}/{FOLDER}/first.py", str(archive))
    assert f'File "{archive}/{FOLDER}/first.py", line 5' in words and "# this line" in words


def test_what_is_not_such_a_file_is_left_to_others(archive):
    code = f"""
from {compile_once.PACKAGE}.inner import deep
found = [deep.VALUE]
for name in ("absent", "broken", "inner.absent"):
    try:
        importlib.import_module("{compile_once.PACKAGE}." + name)
    except (ImportError, SyntaxError) as error:
        found.append(type(error).__name__)
print(json.dumps(found))
"""
    assert answer(archive, code) == [3, "ModuleNotFoundError", "SyntaxError", "ModuleNotFoundError"]


def test_files_in_a_directory(archive, tmp_path):
    with zipfile.ZipFile(archive) as found:
        found.extractall(tmp_path / "tree")
    assert answer(tmp_path / "tree", f"from {compile_once.PACKAGE} import first\nprint(json.dumps(first.__file__))") == f"{tmp_path}/tree/{FOLDER}/first.py"
