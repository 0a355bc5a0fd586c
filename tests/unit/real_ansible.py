# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The real ansible-playbook, as a user runs it."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest

ANSIBLE_PLAYBOOK = os.path.join(os.path.dirname(sys.executable), "ansible-playbook")
# For `pytestmark` of a file whose tests need it.
NEEDS_ANSIBLE = pytest.mark.skipif(not os.path.exists(ANSIBLE_PLAYBOOK), reason="ansible-playbook is not beside this Python")
# Where modules are to run on this machine.
THIS_PYTHON = {"ANSIBLE_PYTHON_INTERPRETER": sys.executable}


def old_ansible_playbook():
    """The path of ansible-playbook of the oldest ansible-core that controllers may have; skips the test where that is not installed."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    # Where tests/environment.sh makes it, which `make test` has done.
    found = [path.parent / "bin" / "ansible-playbook" for path in sorted((cache / "kubeproxy.ipvs").glob("core216-*/complete"))]
    if not found:
        pytest.skip("ansible-core 2.16 is not installed: tests/environment.sh core216 does so")
    return str(found[-1])


def ansible_playbook(folder, *words, seconds=180, binary=None, **environment):
    """(exit status, output) of ansible-playbook with these words, in FOLDER. binary: another than the one beside this Python."""
    done = subprocess.run(
        [binary or ANSIBLE_PLAYBOOK, *words],
        cwd=folder,
        env={**os.environ, "ANSIBLE_NOCOLOR": "1", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=seconds,
        check=False,
    )
    return done.returncode, done.stdout


def json_of(path):
    """What a file of JSON holds, None if there is none."""
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None
