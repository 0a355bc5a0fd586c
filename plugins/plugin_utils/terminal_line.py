# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A line at the end of a terminal's output that is replaced again and again, and gives way to everything else that is written."""

from __future__ import annotations

import os
import signal
import sys
import threading

ERASE = b"\r\x1b[K"
DEFAULT_COLUMNS = 80
SIGNALS = (signal.SIGINT, signal.SIGTERM)


def on_terminal(streams=None, environment=None) -> bool:
    """Whether a line can be replaced: all STREAMS (by default stdout and stderr) are terminals, and TERM names one that can do more than print.

    With only one of them a terminal, the other is often shown there as well, by `tee`, and nobody could know when.
    """
    environment = os.environ if environment is None else environment
    try:
        terminals = all(os.isatty(stream.fileno()) for stream in streams or (sys.stdout, sys.stderr))
    except (AttributeError, OSError, ValueError):
        return False
    return terminals and environment.get("TERM", "dumb") not in ("", "dumb")


def width_of(descriptor: int, environment=None) -> int:
    """How many columns a line may use now: one less than the terminal has, or than COLUMNS says if that is less, so that nothing wraps."""
    said = (os.environ if environment is None else environment).get("COLUMNS", "")
    try:
        columns = os.get_terminal_size(descriptor).columns
    except OSError:
        columns = 0
    known = [number for number in (columns, int(said) if said.isascii() and said.isdigit() else 0) if number > 0]
    return min(known, default=DEFAULT_COLUMNS) - 1


class TerminalLine:
    """The line of this process. A forked worker leaves it alone.

    While it is open, whatever is written to these streams erases it first. Output that goes another way (a program of its own) is not seen.
    """

    def __init__(self):
        self._process = os.getpid()
        self._lock = threading.RLock()
        self._descriptor = 2
        self._shown = ""
        self._writing = 0
        self._unfinished = False
        self._streams: list = []
        self._signals: dict = {}

    def open(self, *streams) -> None:
        """Make ready to show something below what is written to STREAMS, by default stdout and stderr, on the terminal of the last."""
        if self._streams:
            return
        streams = streams or (sys.stdout, sys.stderr)
        self._descriptor = streams[-1].fileno()
        for stream in streams:
            self._watch(stream)
        if threading.current_thread() is threading.main_thread() and not self._signals:
            for number in SIGNALS:
                self._signals[number] = signal.signal(number, self._interrupted)

    def close(self) -> None:
        """Erase the line and be as if it had never been."""
        with self._lock:
            self._erase()
            streams, self._streams = self._streams, []
        for stream in streams:
            del stream.write
        if threading.current_thread() is threading.main_thread():
            for number, former in self._signals.items():
                # Whoever has set another one since keeps it.
                if signal.getsignal(number) == self._interrupted:
                    signal.signal(number, former)
            self._signals = {}

    def show(self, text: str) -> None:
        """Replace the line by TEXT, printable ASCII no wider than width(); not while the line above it is unfinished."""
        with self._lock:
            if not self._streams or self._writing or self._unfinished or text == self._shown:
                return
            self._shown = text
            self._send(b"\r" + text.encode("ascii", "replace") + b"\x1b[K")

    def width(self) -> int:
        """As width_of(), of this terminal."""
        return width_of(self._descriptor)

    def _watch(self, stream) -> None:
        write = stream.write

        def give_way(text):
            if os.getpid() != self._process:
                return write(text)
            with self._lock:
                self._erase()
                self._writing += 1
            # Without the lock: the stream has one of its own, which another thread may hold that waits for this one.
            try:
                return write(text)
            finally:
                with self._lock:
                    self._writing -= 1
                    if text:
                        self._unfinished = not text.endswith("\n")

        stream.write = give_way
        self._streams.append(stream)

    def _erase(self) -> None:
        if self._shown:
            self._shown = ""
            self._send(ERASE)

    def _send(self, data: bytes) -> None:
        """Past Python's buffers, whose locks a forked worker would find held."""
        try:
            os.write(self._descriptor, data)
        except OSError:
            # The terminal is gone; the run is not.
            self._shown = ""

    def _interrupted(self, number, frame) -> None:
        """A signal ends the line first; then it does what it did."""
        former = self._signals.get(number)
        if os.getpid() == self._process:
            self.close()
        if callable(former):
            former(number, frame)
        else:
            signal.signal(number, signal.SIG_DFL if former is None else former)
            os.kill(os.getpid(), number)
