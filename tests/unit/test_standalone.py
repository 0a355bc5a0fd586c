# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The probe as one file. What it measures on kernels that have IPVS is tests/lab/probe's business."""

from __future__ import annotations

import ast
import glob
import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PYTHONS = sorted({sys.executable, *glob.glob("/usr/bin/python[23]"), *glob.glob(os.path.expanduser("~/.pyenv/versions/*/bin/python"))})


@pytest.fixture(name="script", scope="module")
def script_fixture(tmp_path_factory):
    """Its path."""
    path = tmp_path_factory.mktemp("standalone") / "ipvs_probe.py"
    path.write_bytes(subprocess.run([sys.executable, ROOT / "standalone/build.py"], check=True, stdout=subprocess.PIPE).stdout)
    return path


def run(python, *words):
    # -I and -S: neither Ansible nor anything else that is installed; Python 2.7 has no -I.
    flags = ["-S", "-E"] if "2.7" in python or python.endswith("python2") else ["-I", "-S"]
    return subprocess.run([python, *flags, *words], check=False, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("python", PYTHONS)
def test_it_says_why_it_cannot_measure(python, script):
    """As somebody who is not root, whoever runs the tests, and on whatever kernel."""
    done = run(python, "-c", f"import os, sys; os.geteuid = lambda: 1000; sys.argv = ['x']; exec(open({str(script)!r}).read())")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "Not measured: it needs root, to make network namespaces.\n")


@pytest.mark.parametrize("python", PYTHONS)
def test_help(python, script):
    done = run(python, script, "--help")
    assert done.returncode == 0 and "--load-module" in done.stdout and "exit status:" in done.stdout, done.stderr
    assert run(python, script, "--loud").returncode == 2


def test_it_holds_the_collections_own_files_unchanged(script):
    tree = ast.parse(script.read_text(encoding="ascii"))
    sources = {call.args[0].elts[0].value: call.args[0].elts[1].value for call in ast.walk(tree)
               if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute) and call.func.attr == "append"}
    assert list(sources)[-1] == "main" and "probe_run" in sources
    for name, text in sources.items():
        place = ROOT / "standalone/main.py" if name == "main" else ROOT / f"plugins/module_utils/{name}.py"
        assert text == place.read_text(encoding="ascii"), name
        assert "from ansible." not in text
