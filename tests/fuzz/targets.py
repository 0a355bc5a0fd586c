# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table of what is fuzzed, and how one input is tried."""

from __future__ import annotations

import json
import pathlib
import signal
import time
import traceback

from controller_parsers import CONTROLLER_PARSERS, EXAMPLE_REPORT
from node_parsers import NODE_PARSERS, Broken

FOUND = pathlib.Path(__file__).resolve().parent / "found"
TARGETS = {**NODE_PARSERS, **CONTROLLER_PARSERS}
# Processor time that one input may take: a fixed part, and so much for each of its bytes.
SECONDS = 2.0


class Fault(Exception):
    """An input that a parser does not bear. key: short text that is the same for the same fault; text: with the place and the words."""

    def __init__(self, key: str, words: str):
        super().__init__(words)
        self.key = key


class _TooSlow(BaseException):
    """The time is over. Nothing that catches every Exception catches this."""


def _stop(_number, _frame):
    raise _TooSlow


def use_example_report() -> None:
    """Give the targets that need a second report one."""
    import seeds

    if not EXAMPLE_REPORT:
        EXAMPLE_REPORT.append(json.dumps(seeds.of("reports")[0]))


def input_of(form: str, data: bytes):
    """What a target of this form is handed for DATA. Raises ValueError for bytes that stand for nothing."""
    if form == "json":
        return json.loads(data)
    # As NodeFiles.text() reads files.
    return data.decode("utf-8", "replace") if form == "text" else data


def _place(error: BaseException) -> str:
    frames = [
        frame
        for frame in traceback.extract_tb(error.__traceback__)
        if "/plugins/" in frame.filename or "/tests/fuzz/" in frame.filename and frame.name != "_stop"
    ]
    frame = frames[-1] if frames else None
    return f"{pathlib.Path(frame.filename).stem}.{frame.name}:{frame.lineno}" if frame else "elsewhere"


def attempt(name: str, data: bytes, seconds: float = SECONDS):
    """What target NAME gives for DATA: None for an answer or an error by contract. Raises Fault."""
    function, form, errors = TARGETS[name]
    try:
        given = input_of(form, data)
    except (ValueError, RecursionError):
        return None
    began = time.process_time()
    answer = None
    previous = signal.signal(signal.SIGVTALRM, _stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, 5 * seconds)
    try:
        answer = function(given)
        json.dumps(answer, default=str if name in CONTROLLER_PARSERS else None)
    except errors as error:
        if not str(error).strip():
            raise Fault(f"wordless {type(error).__name__} {_place(error)}", repr(error)) from error
    except Broken as error:
        raise Fault(f"broken: {str(error)[:60]}", "".join(traceback.format_exception(error))) from error
    except Exception as error:
        raise Fault(f"{type(error).__name__} {_place(error)}", "".join(traceback.format_exception(error))) from error
    except _TooSlow as error:
        raise Fault(f"endless {_place(error)}", f"more than {5 * seconds:g} s for {len(data)} bytes") from error
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, previous)
    took = time.process_time() - began
    if took > seconds:
        raise Fault("slow", f"{took:.1f} s for {len(data)} bytes")
    return answer
