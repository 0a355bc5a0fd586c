# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script that holds the value, in every shell of this machine, with real processes and sockets, and an ordinary file for the value.

What it does beside a real kube-proxy stands in the Molecule scenario `hold`.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess
import sys
import time

import pytest

SCRIPT = pathlib.Path(__file__).resolve().parents[3] / "roles" / "conn_reuse_mode" / "files" / "hold"
SHELLS = [shell for shell in (["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"]) if shutil.which(shell[0])]
# A process that listens on a port after a while, itself or as the child of a wrapper.
LISTENER = "import socket, time; time.sleep({delay}); s = socket.socket(); s.bind(('127.0.0.1', {port})); s.listen(5); time.sleep(600)"
pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/net/tcp"), reason="needs /proc")


@pytest.fixture(params=SHELLS, ids=" ".join)
def shell(request):
    """One shell, as the beginning of a command."""
    return request.param


@pytest.fixture
def start():
    """start(command, **options) -> a process that is ended with the test."""
    started = []

    def run(command, **options):
        started.append(subprocess.Popen(command, **options))
        return started[-1]

    yield run
    for process in started:
        process.kill()
        process.wait()


def free_port():
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for(condition, seconds=20):
    """Whether a condition comes true within a generous time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


class Value:
    """A file that stands for the kernel's value."""

    def __init__(self, directory):
        self.path = directory / "conn_reuse_mode"

    def write(self, text):
        """What somebody else writes."""
        self.path.write_text(text, encoding="ascii")

    def read(self):
        """What is there."""
        return self.path.read_text(encoding="ascii").strip() if self.path.exists() else None


@pytest.fixture
def value(tmp_path):
    """The value, 0 at the beginning."""
    found = Value(tmp_path)
    found.write("0\n")
    return found


@pytest.fixture
def environment(tmp_path, value):
    """What the script is started with."""
    (tmp_path / "run").mkdir()
    return {**os.environ, "KUBEPROXY_IPVS_FILE": str(value.path), "RUNTIME_DIRECTORY": str(tmp_path / "run")}


@pytest.fixture
def script(tmp_path):
    """The script with shorter pauses."""
    quick = tmp_path / "hold"
    quick.write_text(SCRIPT.read_text(encoding="utf-8").replace("pause_seconds=1.5", "pause_seconds=0.1"), encoding="utf-8")
    return str(quick)


def without_bash(environment, tmp_path):
    """The environment of a node that has no bash: every pause is a program of its own."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sleep", "rm", "mkfifo", "dash", "busybox", "ksh"):
        if shutil.which(name):
            (programs / name).symlink_to(shutil.which(name))
    return {**environment, "PATH": str(programs)}


class TestKeep:
    def test_it_writes_whenever_another_value_is_there(self, shell, start, value, environment, tmp_path, script):
        process = start([*shell, script, "keep", "1"], env=environment, stdout=subprocess.PIPE, text=True)
        assert wait_for(lambda: value.read() == "1")
        for other in ("0\n", "2\n", "3\n"):
            value.write(other)
            assert wait_for(lambda: value.read() == "1")
        # ip_vs is unloaded, and loaded again.
        value.path.unlink()
        time.sleep(0.5)
        assert process.poll() is None
        value.write("0\n")
        assert wait_for(lambda: value.read() == "1")
        process.kill()
        assert "was 2, set to 1" in process.stdout.read()
        assert list((tmp_path / "run").iterdir()) == []

    def test_it_writes_nothing_where_there_is_nothing(self, shell, start, value, environment, script):
        value.path.unlink()
        process = start([*shell, script, "keep", "1"], env=environment)
        time.sleep(0.5)
        assert process.poll() is None and value.read() is None

    def test_a_fight_does_not_fill_the_journal(self, shell, start, value, environment, script):
        """The first nine changes are told, and each hundredth."""
        process = start([*shell, script, "keep", "1"], env=environment, stdout=subprocess.PIPE, text=True)
        for dummy in range(13):
            assert wait_for(lambda: value.read() == "1")
            value.write("0\n")
        assert wait_for(lambda: value.read() == "1")
        process.kill()
        assert len(process.stdout.read().splitlines()) == 9

    def test_without_a_place_for_its_pipe(self, shell, start, value, environment, script):
        environment["RUNTIME_DIRECTORY"] = "/nonexistent"
        start([*shell, script, "keep", "1"], env=environment)
        assert wait_for(lambda: value.read() == "1")
        value.write("0\n")
        assert wait_for(lambda: value.read() == "1")

    @pytest.mark.parametrize("shell", [shell for shell in SHELLS if shell[0] != "bash"], ids=" ".join)
    def test_without_bash(self, shell, start, value, environment, tmp_path, script):
        start([shutil.which(shell[0]), *shell[1:], script, "keep", "1"], env=without_bash(environment, tmp_path))
        assert wait_for(lambda: value.read() == "1")
        value.write("0\n")
        assert wait_for(lambda: value.read() == "1")

    def test_it_looks_at_least_every_two_seconds(self):
        assert "pause_seconds=1.5" in SCRIPT.read_text(encoding="utf-8")


class TestAfterStart:
    def run(self, shell, environment, pid, seconds, *ports):
        """(status, what it printed, how long it took)"""
        began = time.monotonic()
        done = subprocess.run(
            [*shell, str(SCRIPT), "after-start", "1", str(seconds), *map(str, ports)],
            env={**environment, "MAINPID": str(pid)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout, time.monotonic() - began

    def test_it_waits_until_the_process_itself_listens(self, shell, start, value, environment):
        port = free_port()
        process = start([sys.executable, "-c", LISTENER.format(delay=1, port=port)])
        status, output, seconds = self.run(shell, environment, process.pid, 30, free_port(), port)
        assert (status, value.read()) == (0, "1"), output
        assert 0.8 < seconds < 25
        assert f"was 0, set to 1 (after the start of kube-proxy, process {process.pid}" in output

    def test_a_child_of_a_wrapper_counts(self, shell, start, value, environment):
        port = free_port()
        wrapper = start(["sh", "-c", f'"{sys.executable}" -c "{LISTENER.format(delay=0, port=port)}"; true'])
        assert self.run(shell, environment, wrapper.pid, 30, port)[0] == 0
        assert value.read() == "1"

    def test_a_listener_of_another_process_does_not_count(self, shell, start, value, environment):
        """The process before, which still listens on the port, or another program."""
        port = free_port()
        start([sys.executable, "-c", LISTENER.format(delay=0, port=port)])
        idle = start(["sleep", "600"])
        status, output, seconds = self.run(shell, environment, idle.pid, 1, port)
        assert status == 0 and seconds < 40
        assert "does not listen after 1 seconds" in output
        # Late is better than never: the service goes on looking anyway.
        assert value.read() == "1"

    def test_another_port_of_the_process_does_not_count(self, shell, start, value, environment):
        process = start([sys.executable, "-c", LISTENER.format(delay=0, port=free_port())])
        assert "does not listen" in self.run(shell, environment, process.pid, 1, free_port())[1]

    def test_a_process_that_ends_is_not_waited_for(self, shell, value, environment):
        gone = subprocess.Popen(["true"])
        gone.wait()
        status, output, seconds = self.run(shell, environment, gone.pid, 50, free_port())
        assert (status, value.read()) == (0, "0") and seconds < 40
        assert "ended before it had started" in output

    def test_without_the_value(self, shell, start, value, environment):
        value.path.unlink()
        port = free_port()
        process = start([sys.executable, "-c", LISTENER.format(delay=0, port=port)])
        assert self.run(shell, environment, process.pid, 30, port)[0] == 0
        assert value.read() is None

    def test_without_a_process(self, shell, value, environment):
        status, output, dummy = self.run(shell, environment, "", 30, 10249)
        assert (status, value.read()) == (0, "1")
        assert "does not tell the process" in output

    def test_without_a_port_it_reads_the_journal(self, shell, start, value, environment, tmp_path):
        journal = tmp_path / "bin" / "journalctl"
        journal.parent.mkdir()
        journal.write_text('#!/bin/sh\ncat "$(dirname "$0")/journal"\n', encoding="utf-8")
        journal.chmod(0o755)
        lines = tmp_path / "bin" / "journal"
        lines.write_text("I1121 10:00:00.000000    1 server_others.go:185] Using ipvs Proxier.\n", encoding="utf-8")
        environment["PATH"] = f"{journal.parent}:{environment['PATH']}"
        process = start(["sleep", "600"])
        assert "does not listen after 1 seconds" in self.run(shell, environment, process.pid, 1)[1]
        value.write("0\n")
        lines.write_text("I1121 10:00:00.000000    1 server.go:650] Version: v1.20.2\n", encoding="utf-8")
        status, output, dummy = self.run(shell, environment, process.pid, 50)
        assert (status, value.read()) == (0, "1")
        assert "after the start of kube-proxy" in output


@pytest.mark.parametrize("words", [[], ["keep"], ["keep", "2"], ["keep", ""], ["look", "1"], ["after-start"], ["keep", "1;reboot"]])
def test_anything_else_is_refused(shell, words, environment, value):
    done = subprocess.run([*shell, str(SCRIPT), *words], env=environment, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    assert (done.returncode, value.read()) == (64, "0")
    assert done.stderr.startswith("usage: hold keep 0|1")
