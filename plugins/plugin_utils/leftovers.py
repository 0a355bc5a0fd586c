# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What kube-proxy of other modes leaves behind on a node where it is in one mode now."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load

MODES = ("ipvs", "iptables", "nftables")


class LeftoversError(ValueError):
    """The question makes no sense. The text says why."""


def _place(row: dict) -> dict:
    return {key: row[key] for key in ("table", "name", "prefix") if key in row}


def leftovers(mode: str) -> dict:
    """The option `owned` of the module kube_proxy_leftovers for a node whose kube-proxy is in MODE. Raises LeftoversError."""
    if mode not in MODES:
        raise LeftoversError(f"the mode is one of {', '.join(MODES)}, not {mode!r}")
    known = load("leftovers")

    def left(rows):
        return [row for row in rows if mode not in row["modes"]]

    return {
        "services": mode not in known["services"]["modes"],
        "interfaces": [row["name"] for row in left(known["interfaces"])],
        "chains": [{**_place(row), "jumps": [dict(jump) for jump in row["jumps"]]} for row in left(known["chains"])],
        "sets": {"names": [name for row in left(known["sets"]) for name in row["names"]], "prefixes": []},
        "written": [_place(row) for row in known["written"] if row["mode"] == mode],
    }
