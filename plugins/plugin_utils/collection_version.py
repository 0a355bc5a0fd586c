# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which version of this collection runs. It is written down in galaxy.yml alone."""

from __future__ import annotations

import functools
import json
import pathlib

import yaml

ROOT = pathlib.Path(__file__).resolve().parents[2]


@functools.lru_cache(maxsize=None)
def collection_version(root: pathlib.Path = ROOT) -> str:
    """From MANIFEST.json, which an installed collection has, or else galaxy.yml, which a checkout has; `unknown` where neither says it.

    root: the collection's directory.
    """
    for name, read in (("MANIFEST.json", json.loads), ("galaxy.yml", yaml.safe_load)):
        try:
            document = read((root / name).read_text(encoding="utf-8"))
            return str(document.get("collection_info", document)["version"])
        except (OSError, ValueError, KeyError, AttributeError, TypeError, yaml.YAMLError):
            continue
    return "unknown"
