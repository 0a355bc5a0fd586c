# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of JSON and YAML that somebody hands in: read whole, or refused with the reason."""

from __future__ import annotations

import errno
import json
import os
import stat

import yaml

# What any of these files could sensibly have: the report of 50,000 nodes.
MAXIMUM_BYTES = 256 * 1024 * 1024
# A file of some lines can name one of its values again and again, so that it stands for more than any memory holds.
MAXIMUM_VALUES = 1_000_000


class DocumentError(ValueError):
    """A file that cannot be read or understood. The text is why, without the path."""


def _count(value, counts: dict[int, int]) -> int:
    """How many values VALUE is made of, one that is named again counted each time. counts: those of what is inside, by identity; 0 while it is counted."""
    if not isinstance(value, (dict, list, tuple, set)):
        return 1
    if id(value) not in counts:
        counts[id(value)] = 0
        inside = [*value, *value.values()] if isinstance(value, dict) else value
        counts[id(value)] = 1 + sum(_count(item, counts) for item in inside)
    elif not counts[id(value)]:
        raise DocumentError("a value in it contains itself")
    return counts[id(value)]


class _Loader(yaml.SafeLoader):
    """YAML in which a date is the text that it is: what asks for one says what is wrong with 2027-02-30, and for YAML that would be the whole file."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


def _yaml(content: str):
    try:
        document = yaml.load(content, Loader=_Loader)
    except (AttributeError, LookupError, TypeError) as error:
        # That is what PyYAML makes of `!!timestamp soon`, `!!bool maybe` and `!!int ''`.
        raise DocumentError("not YAML: a value is not of the type that its tag names") from error
    if _count(document, {}) > MAXIMUM_VALUES:
        raise DocumentError(f"more than {MAXIMUM_VALUES} values, those that are named again counted each time")
    return document


_PARSERS = {"JSON": json.loads, "YAML": _yaml}


def load_document(path: str, kind: str = "JSON", maximum_bytes: int = MAXIMUM_BYTES):
    """What the file PATH holds. kind: JSON or YAML. Raises DocumentError."""
    try:
        found = os.stat(path)
        if stat.S_ISDIR(found.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        # Nobody may ever write into a pipe, and a device has no end.
        if not stat.S_ISREG(found.st_mode):
            raise DocumentError("not a regular file")
        with open(path, "rb") as handle:
            data = handle.read(maximum_bytes + 1)
        if len(data) > maximum_bytes:
            raise DocumentError(f"longer than {maximum_bytes} bytes")
        content = data.decode("utf-8")
    except OSError as error:
        raise DocumentError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise DocumentError("not UTF-8") from error
    try:
        return _PARSERS[kind](content)
    except RecursionError as error:
        raise DocumentError("nested too deeply") from error
    except DocumentError:
        raise
    except (ValueError, yaml.YAMLError) as error:
        raise DocumentError(f"not {kind}: {error}") from error
