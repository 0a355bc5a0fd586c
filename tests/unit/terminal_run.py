# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""ansible-playbook in a terminal: what its screen showed, state by state."""

from __future__ import annotations

import dataclasses
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time

import pyte
from real_ansible import ANSIBLE_PLAYBOOK


@dataclasses.dataclass
class Screens:
    """status: of the program. frames: the lines of the screen, history included, after each piece of output. data: all of it."""

    status: int
    frames: list[list[str]]
    data: bytes

    @property
    def last(self) -> list[str]:
        return self.frames[-1]

    def lines_with(self, text: str) -> list[str]:
        """Every different line with this text that was ever shown, in order."""
        return list(dict.fromkeys(line for frame in self.frames for line in frame if text in line))


class _Terminal:
    def __init__(self, columns: int, lines: int):
        self.screen = pyte.HistoryScreen(columns, lines, history=100000, ratio=0.5)
        self.stream = pyte.ByteStream(self.screen)

    def frame(self) -> list[str]:
        screen = self.screen
        past = ["".join(row[column].data for column in range(screen.columns)).rstrip() for row in screen.history.top]
        return past + [line.rstrip() for line in screen.display]


def run_in_terminal(
    folder,
    *words,
    program=ANSIBLE_PLAYBOOK,
    columns=120,
    lines=40,
    seconds=170,
    interrupt_at=None,
    by=signal.SIGINT,
    resize_at=None,
    stdout=None,
    environment=None,
):
    """Screens of PROGRAM with these words, in FOLDER. stdout: where its output goes, if not to the terminal.

    interrupt_at: send the signal BY, as the terminal does for Ctrl-C, once this text is shown. resize_at: (text, columns), once it is shown.
    environment: added to this process's; what is None there is taken out.
    """
    settings = {**os.environ, "COLUMNS": None, "TERM": "xterm", **(environment or {})}
    master, slave = pty.openpty()
    fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    process = subprocess.Popen(
        [program, *words],
        cwd=folder,
        env={name: value for name, value in settings.items() if value is not None},
        stdin=slave,
        stdout=slave if stdout is None else stdout,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    terminal, frames, data, end = _Terminal(columns, lines), [], b"", time.monotonic() + seconds
    try:
        while True:
            assert time.monotonic() < end, data.decode(errors="replace")
            if not select.select([master], [], [], 0.5)[0]:
                continue
            try:
                piece = os.read(master, 65536)
            except OSError:
                break
            if not piece:
                break
            data += piece
            terminal.stream.feed(piece)
            frames.append(terminal.frame())
            shown = "\n".join(frames[-1])
            if interrupt_at is not None and interrupt_at in shown:
                interrupt_at = None
                os.killpg(process.pid, by)
            if resize_at is not None and resize_at[0] in shown:
                terminal.screen.resize(lines, resize_at[1])
                fcntl.ioctl(master, termios.TIOCSWINSZ, struct.pack("HHHH", lines, resize_at[1], 0, 0))
                resize_at = None
        status = process.wait(30)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(master)
    return Screens(status, frames or [[]], data)
