# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The line at the end of a terminal's output: real pseudo-terminals, read by a terminal emulator."""

from __future__ import annotations

import fcntl
import io
import os
import pty
import select
import struct
import termios

import pyte
import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import terminal_line
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.terminal_line import TerminalLine, on_terminal, width_of


class Terminal:
    """A terminal of 40 columns, with what a program has as stdout and stderr."""

    def __init__(self):
        self.master, self.slave = pty.openpty()
        self.resize(40)
        self.stdout, self.stderr = (open(self.slave, "w", encoding="utf-8", buffering=1, closefd=False) for _stream in range(2))
        self._screen = pyte.Screen(40, 10)
        self._stream = pyte.ByteStream(self._screen)

    def resize(self, columns):
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))

    def lines(self):
        """What its screen shows."""
        while select.select([self.master], [], [], 0.1)[0]:
            self._stream.feed(os.read(self.master, 65536))
        return [line.rstrip() for line in self._screen.display if line.strip()]


@pytest.fixture
def terminal():
    terminal = Terminal()
    yield terminal
    os.close(terminal.slave)
    os.close(terminal.master)


@pytest.fixture
def line(terminal):
    line = TerminalLine()
    line.open(terminal.stdout, terminal.stderr)
    yield line
    line.close()


def test_it_is_replaced_and_gives_way(terminal, line):
    line.show("one of many words")
    assert terminal.lines() == ["one of many words"]
    line.show("two")
    assert terminal.lines() == ["two"]
    print("ok: [n1]", file=terminal.stdout)
    assert terminal.lines() == ["ok: [n1]"]
    line.show("three")
    print("to stderr", file=terminal.stderr)
    line.show("four")
    assert terminal.lines() == ["ok: [n1]", "to stderr", "four"]
    line.close()
    assert terminal.lines() == ["ok: [n1]", "to stderr"]
    print("after", file=terminal.stdout)
    assert terminal.lines() == ["ok: [n1]", "to stderr", "after"]


def test_it_waits_for_the_end_of_an_unfinished_line(terminal, line):
    terminal.stdout.write("Password: ")
    terminal.stdout.flush()
    line.show("progress")
    assert terminal.lines() == ["Password:"]
    terminal.stdout.write("\n")
    line.show("progress")
    assert terminal.lines() == ["Password:", "progress"]


def test_what_is_closed_shows_nothing_and_has_left_the_streams_alone(terminal):
    line = TerminalLine()
    line.show("not open")
    line.open(terminal.stdout, terminal.stderr)
    line.open(terminal.stdout, terminal.stderr)
    line.close()
    line.close()
    line.show("closed")
    assert terminal.lines() == []
    assert "write" not in vars(terminal.stdout) and "write" not in vars(terminal.stderr)


def test_a_forked_worker_leaves_it_alone(terminal, line):
    line.show("progress")
    child = os.fork()
    if child == 0:
        terminal.stdout.write("")
        line._lock.acquire()
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0
    assert terminal.lines() == ["progress"]


def test_the_width_is_asked_for_each_time(terminal, line, monkeypatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    assert line.width() == 39
    terminal.resize(22)
    assert line.width() == 21


@pytest.mark.parametrize(
    ("columns", "said", "width"),
    [(40, "", 39), (40, "30", 29), (40, "200", 39), (0, "", 79), (0, "30", 29), (40, "-3", 39), (40, "\u00b2", 39), (1, "", 0)],
)
def test_width(columns, said, width):
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 10, columns, 0, 0))
    assert width_of(slave, {"COLUMNS": said}) == width
    os.close(slave)
    os.close(master)


def test_where_a_line_can_be_replaced(terminal, tmp_path):
    pipe, file = io.StringIO(), open(tmp_path / "file", "w", encoding="utf-8")
    both = (terminal.stdout, terminal.stderr)
    assert on_terminal(both, {"TERM": "xterm"})
    assert not on_terminal(both, {"TERM": "dumb"})
    assert not on_terminal(both, {"TERM": ""})
    assert not on_terminal(both, {})
    for streams in ((terminal.stdout, file), (file, terminal.stderr), (terminal.stdout, pipe), (None, terminal.stderr)):
        assert not on_terminal(streams, {"TERM": "xterm"})
    file.close()


def test_a_terminal_that_is_gone_ends_nothing(terminal, line, monkeypatch):
    def gone(descriptor, data):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(terminal_line.os, "write", gone)
    line.show("progress")
    line.close()
