# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who owns the place where a kube-proxy's mode is set, and therefore why it is not to be changed there (mode_owners.yml)."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import sequence
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import expression, load, source_text

ONE_WORD = ("form", "image", "version", "unit")


def _text(value) -> str:
    return value if isinstance(value, str) else ""


def _paths(settings: dict) -> list[str]:
    """Every path that decides about the mode, or would change."""
    entries = [entry for name in ("files", "where") for entry in sequence(settings.get(name)) if isinstance(entry, dict)]
    paths = [_text(entry.get("path")) for entry in entries] + [_text(settings.get("manifest_path"))]
    return [path for path in dict.fromkeys(paths) if path]


def _fits(match: dict, settings: dict, paths: list[str], labels: dict) -> tuple[bool, str | None]:
    """(whether a row fits, the path by which it does)."""
    for name in ONE_WORD:
        if name in match and not expression(match[name]).search(_text(settings.get(name))):
            return False, None
    for name, pattern in match.get("labels", {}).items():
        if name not in labels or not expression(pattern).search(_text(labels[name])):
            return False, None
    if "path" not in match:
        return True, None
    path = next((path for path in paths if expression(match["path"]).search(path)), None)
    return path is not None, path


def owner_of(settings: dict, labels: dict | None = None) -> tuple[dict | None, str | None]:
    """(the row of the owner, None without one; the path that shows it, or None).

    settings: what the module kube_proxy_mode returned. labels: those of the Node, where they are known.
    """
    paths = _paths(settings)
    for row in load("mode_owners")["rows"]:
        fits, path = _fits(row["match"], settings, paths, labels or {})
        if fits:
            return row, path
    return None, None


def refusal_of(settings: dict, labels: dict | None = None) -> str | None:
    """The sentence that says why the mode is not to be changed in the place that SETTINGS name, None if nothing is known against it."""
    row, path = owner_of(settings, labels)
    if row is None:
        return None
    place = f"{path} belongs to {row['name']}" if path else f"the mode is owned by {row['name']}"
    instead = f"; {row['instead']}" if row["instead"] else ""
    return f"{place}: {row['text']}{instead} ({source_text(load('mode_owners'), row['source'])})"
