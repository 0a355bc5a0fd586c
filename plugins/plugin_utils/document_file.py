# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of JSON and YAML that somebody hands in: read whole, or refused with the reason."""

from __future__ import annotations

import json
import os

import yaml

# What any of these files could sensibly have: the report of 50,000 nodes.
MAXIMUM_BYTES = 256 * 1024 * 1024
_PARSERS = {"JSON": json.loads, "YAML": yaml.safe_load}


class DocumentError(ValueError):
    """A file that cannot be read or understood. The text is why, without the path."""


def load_document(path: str, kind: str = "JSON", maximum_bytes: int = MAXIMUM_BYTES):
    """What the file PATH holds. kind: JSON or YAML. Raises DocumentError."""
    try:
        if os.path.getsize(path) > maximum_bytes:
            raise DocumentError(f"longer than {maximum_bytes} bytes")
        with open(path, "rb") as handle:
            content = handle.read().decode("utf-8")
    except OSError as error:
        raise DocumentError(error.strerror or str(error)) from error
    except UnicodeDecodeError as error:
        raise DocumentError("not UTF-8") from error
    try:
        return _PARSERS[kind](content)
    except RecursionError as error:
        raise DocumentError("nested too deeply") from error
    except (ValueError, yaml.YAMLError) as error:
        # YAML itself refuses a date such as 2027-02-30 with a ValueError.
        raise DocumentError(f"not {kind}: {error}") from error
