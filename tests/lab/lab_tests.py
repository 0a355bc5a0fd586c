# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What all tests on the lab's nodes have in common: the lab, a shell on a node, patience, and what was measured."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shlex
import shutil
import subprocess
import tempfile
import time

import pytest

TESTS = pathlib.Path(__file__).resolve().parent.parent
LAB = TESTS / "lab" / "lab"
# What a test says of what it measured, for the end of the run.
MEASURED = []


def say(words):
    """Keep what was measured for the end of the run."""
    MEASURED.append(words)


def pytest_terminal_summary(terminalreporter):
    """What was measured: a hook of pytest, for each conftest.py."""
    if MEASURED:
        terminalreporter.section("measured")
        for words in MEASURED:
            terminalreporter.write_line(words)


def wait_until(true, what, seconds=180, pause=0.3):
    """Until TRUE() is, and what it gave; an AssertionError that names WHAT after SECONDS."""
    deadline = time.monotonic() + seconds
    while True:
        answer = true()
        if answer:
            return answer
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        time.sleep(pause)


def lab(*words, given=None, check=True):
    """Run the tool of the lab; what it printed."""
    done = subprocess.run([LAB, *words], check=False, capture_output=True, text=True, timeout=600, input=given)
    assert not check or done.returncode == 0, f"lab {' '.join(words)}: {done.stderr}"
    return done.stdout


def connection():
    """The files by which the nodes are reached."""
    return json.loads(lab("connection"))


def start(name):
    """Start a node, unless it runs. Where the lab cannot make it the test is skipped."""
    lab("up", name)
    if f" {name}:\n" not in pathlib.Path(connection()["inventory"]).read_text(encoding="utf-8"):
        pytest.skip(f"the lab cannot make the node {name}")


@contextlib.contextmanager
def run_folder(name):
    """A folder for a run of tests: `ssh` and `cp` in it are for connections, which are closed at the end."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix=f"{name}-"))
    (folder / "ssh").mkdir()
    (folder / "cp").mkdir()
    try:
        yield folder
    finally:
        for socket in [*(folder / "ssh").iterdir(), *(folder / "cp").iterdir()]:
            close(socket)
        shutil.rmtree(folder, ignore_errors=True)


def close(socket):
    """Close the connection that is kept behind SOCKET, if there is one. ssh removes the socket some time after it has said so."""
    if socket.exists():
        subprocess.run(["ssh", "-o", f"ControlPath={socket}", "-O", "exit", "node"], check=False, capture_output=True)
        with contextlib.suppress(AssertionError):
            wait_until(lambda: not socket.exists(), f"the end of {socket}", seconds=5, pause=0.02)


class Shell:
    """A shell on a node, over a connection that is kept in the folder SOCKETS."""

    def __init__(self, name, sockets):
        self.name = name
        self._sockets = sockets
        self._configuration = connection()["ssh_config"]

    def words(self, command):
        """The command of this machine that runs a shell command there."""
        options = ["-o", "ControlMaster=auto", "-o", f"ControlPath={self._sockets}/%n", "-o", "ControlPersist=yes", "-o", "ConnectTimeout=10"]
        return ["ssh", "-F", self._configuration, *options, self.name, "bash -c " + shlex.quote(command)]

    def forget(self):
        """Close the connection: the node is about to go away."""
        close(self._sockets / self.name)

    def attempt(self, command, seconds=120):
        """Run a shell command there; what it did. 255 where the node does not answer."""
        try:
            return subprocess.run(self.words(command), check=False, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=seconds)
        except subprocess.TimeoutExpired:
            return subprocess.CompletedProcess(command, 255, "", f"no answer within {seconds} s")

    def run(self, command, seconds=120, check=True):
        """Run a shell command there that works, unless it need not; what it printed."""
        done = self.attempt(command, seconds)
        assert not check or done.returncode == 0, f"{self.name}: {command}: status {done.returncode}: {done.stdout}{done.stderr}"
        return done.stdout.strip()
