# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The facts of one node as typed values, whatever was handed in.

Facts come from a live node, from a file that somebody recorded, or from a template. Everything that decides reads them
through this file, so that a missing key, a wrong type or an absurd value becomes "not known" and never an exception.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import Version, leading_version

SCHEMA = 1
MODES = ("ipvs", "iptables", "nftables", "userspace")


# Of systemd.service(5)'s prefixes, "-" alone takes a failure for none; sysctl's own -e and --ignore do the same.
_BARE_SYSCTL = re.compile(r"ExecStartPost\s*=\s*[@:+!]*(?:/\S*/)?sysctl(?=\s)(?!.*\s(?:-\w*e\w*|--ignore)(?:\s|$))")


class FactsError(ValueError):
    """What was handed in are not the facts of a node. The text says why."""


def mapping(value) -> dict:
    """VALUE if it is a mapping, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value) -> list:
    """VALUE if it is a list, else an empty one."""
    return value if isinstance(value, list) else []


def text(value) -> str | None:
    """VALUE if it is a text with something in it, else None."""
    return value if isinstance(value, str) and value.strip() else None


def number(value) -> int | None:
    """VALUE as an integer if it is one (also one written as text, and a whole float), else None."""
    if isinstance(value, bool):
        return None
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    if isinstance(value, str):
        try:
            value = int(value.strip()) if len(value) < 25 else None
        except ValueError:
            return None
    return value if isinstance(value, int) and abs(value) < 2**63 else None


def boolean(value) -> bool | None:
    """VALUE if it is a boolean, else None."""
    return value if isinstance(value, bool) else None


@dataclass(frozen=True)
class Writer:
    """Something on the node that sets the value; see docs/facts.md.

    line: its text; file_line: the line as its file has it, None if it is not one; waits: it does something else first that takes its time.
    """

    kind: str
    path: str
    value: int | None
    moments: tuple[str, ...]
    wins: tuple[str, ...]
    period_seconds: int | None
    line: str | None = None
    via: str | None = None
    reason: str | None = None
    file_line: str | None = None
    waits: bool = False

    @property
    def name(self) -> str:
        """What a report calls it: its file, else its kind."""
        return self.path or self.kind


@dataclass(frozen=True)
class Guard:
    """Something on the node that writes the value again after kube-proxy has started."""

    path: str
    value: int | None
    waits: bool
    period_seconds: int | None
    kind: str | None = None
    line: str | None = None
    file_line: str | None = None

    @property
    def stops_kube_proxy(self) -> bool:
        """Whether systemd stops kube-proxy where the key does not exist yet: ExecStartPost= of sysctl without a leading "-".

        After a boot kube-proxy itself loads ip_vs, which it does not come to (measured: it was started 32 times in three minutes, each time in vain).
        """
        return self.kind == "exec_start_post" and not self.waits and bool(_BARE_SYSCTL.match(self.line or ""))


@dataclass(frozen=True)
class Managed:
    """What the role conn_reuse_mode has done to the node. facts: what it wrote down; damaged: paths that are not as it left them."""

    facts: dict
    paths: tuple[str, ...]
    damaged: tuple[str, ...]
    service_running: bool | None
    applied_at: float | None

    @property
    def value(self) -> int | None:
        """The value that it set."""
        return number(self.facts.get("value"))

    @property
    def has_service(self) -> bool:
        """Whether it installed the service that goes on looking."""
        return self.facts.get("service") is True

    @property
    def has_daemonset(self) -> bool:
        """Whether a DaemonSet does so, of which the node itself shows nothing."""
        return self.facts.get("daemonset") is True

    @property
    def holds(self) -> bool:
        """Whether the value is kept whatever writes another one."""
        service = self.has_service and self.service_running is not False
        return (service or self.has_daemonset) and not self.damaged and self.value is not None


@dataclass(frozen=True)
class NodeFacts:
    """What is known of one node. None and empty mean not known.

    writers_read: false where the facts say that nobody looked for writers (`writers: null`); else an empty list means that there are none.
    runs_ipvs: whether kube-proxy of this version was seen running in IPVS mode, not only configured for it.
    """

    kernel_release: str | None = None
    kernel_version: Version | None = None
    uname_version: str | None = None
    version_signature: str | None = None
    os_name: str | None = None
    ip_vs: str | None = None
    ip_vs_at_boot: bool = False
    symbols: tuple[str, ...] = ()
    changelog: dict = field(default_factory=dict)
    probe: dict = field(default_factory=dict)
    live_patches: tuple[str, ...] = ()
    value: int | None = None
    value_absent: bool = False
    conntrack: int | None = None
    expire_nodest_conn: int | None = None
    old_conntrack_switch: int | None = None
    writers: tuple[Writer, ...] = ()
    writers_read: bool = True
    guards: tuple[Guard, ...] = ()
    managed: Managed | None = None
    running: bool | None = None
    form: str | None = None
    mode: str | None = None
    mode_source: str | None = None
    mode_configured: str | None = None
    mode_effective: str | None = None
    runs_ipvs: bool = False
    kube_proxy: str | None = None
    kube_proxy_version: Version | None = None
    raw: dict = field(default_factory=dict)

    def part(self, name: str) -> dict:
        """One mapping of the facts as it was handed in: table, kube_proxy, pressure, ..."""
        return mapping(self.raw.get(name))


def _words(value) -> tuple[str, ...]:
    return tuple(item for item in sequence(value) if isinstance(item, str))


def _file_line(entry: dict) -> str | None:
    """The facts name it where it is not the text."""
    return text(entry.get("file_line" if "file_line" in entry else "text"))


def _writer(entry) -> Writer:
    entry = mapping(entry)
    return Writer(
        kind=text(entry.get("kind")) or "unknown",
        path=text(entry.get("path")) or "",
        value=number(entry.get("value")),
        moments=_words(entry.get("moments")),
        wins=_words(entry.get("wins")),
        period_seconds=number(entry.get("period_seconds")),
        line=text(entry.get("text")),
        via=text(entry.get("via")),
        reason=text(entry.get("reason")),
        file_line=_file_line(entry),
        waits=entry.get("waits") is True,
    )


def _guard(entry) -> Guard:
    entry = mapping(entry)
    return Guard(
        path=text(entry.get("path")) or text(entry.get("unit")) or "a guard",
        value=number(entry.get("value")),
        waits=entry.get("waits") is True,
        period_seconds=number(entry.get("period_seconds")),
        kind=text(entry.get("kind")),
        line=text(entry.get("text")),
        file_line=_file_line(entry),
    )


def _managed(entry) -> Managed | None:
    if not isinstance(entry, dict):
        return None
    files = [mapping(known) for known in sequence(entry.get("files"))]
    applied_at = entry.get("applied_at")
    return Managed(
        facts=mapping(entry.get("facts")),
        paths=tuple(text(known.get("path")) or "a file" for known in files),
        damaged=tuple(text(known.get("path")) or "a file" for known in files if known.get("state") != "intact"),
        service_running=boolean(entry.get("service_running")),
        applied_at=float(applied_at) if isinstance(applied_at, float) or number(applied_at) is not None and not isinstance(applied_at, str) else None,
    )


def unwrap(facts) -> dict:
    """The mapping of docs/facts.md out of FACTS, which may also be a whole module result or ansible_facts."""
    facts = plain(facts)
    for key in ("ansible_facts", "ipvs"):
        inner = mapping(facts).get(key)
        if isinstance(inner, dict):
            facts = inner
    return mapping(facts)


def check(facts) -> dict:
    """The facts, or FactsError if this cannot be what ipvs_facts returned (for files that somebody recorded)."""
    if not isinstance(facts, dict):
        raise FactsError(f"not the facts of a node but a {type(facts).__name__}")
    inner = unwrap(facts)
    if "schema" not in inner or not any(part in inner for part in ("kernel", "sysctl", "kube_proxy")):
        raise FactsError("not the facts of a node: neither schema nor kernel, sysctl or kube_proxy in it")
    if inner["schema"] != SCHEMA:
        raise FactsError(f"facts of version {str(inner['schema'])[:20]!r}, this collection reads version {SCHEMA}")
    return inner


def read(facts) -> NodeFacts:
    """FACTS as NodeFacts. Never raises."""
    raw = unwrap(facts)
    kernel, sysctl, proxy = mapping(raw.get("kernel")), mapping(raw.get("sysctl")), mapping(raw.get("kube_proxy"))
    release = text(kernel.get("release"))
    mode = proxy.get("mode")
    kube_proxy = text(proxy.get("version"))
    absent = _words(sysctl.get("absent"))
    form = text(proxy.get("form"))
    return NodeFacts(
        kernel_release=release,
        kernel_version=leading_version(release),
        uname_version=text(kernel.get("version")),
        version_signature=text(kernel.get("version_signature")),
        os_name=text(mapping(kernel.get("os_release")).get("name")) or text(mapping(kernel.get("os_release")).get("id")),
        ip_vs=kernel.get("ip_vs") if kernel.get("ip_vs") in ("loaded", "builtin", "absent") else None,
        ip_vs_at_boot=kernel.get("ip_vs") == "builtin" or bool(sequence(kernel.get("ip_vs_loaded_at_boot"))),
        symbols=_words(kernel.get("symbols")),
        changelog=mapping(kernel.get("changelog")),
        probe=mapping(kernel.get("probe")),
        live_patches=tuple(name for name in (text(mapping(entry).get("name")) for entry in sequence(kernel.get("live_patches"))) if name),
        value=number(sysctl.get("conn_reuse_mode")),
        value_absent=sysctl.get("state") == "present" and "conn_reuse_mode" in absent,
        conntrack=number(sysctl.get("conntrack")),
        expire_nodest_conn=number(sysctl.get("expire_nodest_conn")),
        old_conntrack_switch=number(sysctl.get("conn_reuse_old_conntrack")),
        writers=tuple(_writer(entry) for entry in sequence(raw.get("writers"))),
        writers_read=raw.get("writers", []) is not None,
        guards=tuple(_guard(entry) for entry in sequence(mapping(raw.get("hold")).get("guards"))),
        managed=_managed(mapping(raw.get("hold")).get("managed")),
        running=boolean(proxy.get("running")),
        form=form,
        mode=mode if mode in MODES else None,
        mode_source=text(proxy.get("mode_source")),
        mode_configured=text(proxy.get("mode_configured")),
        mode_effective=text(proxy.get("mode_effective")),
        runs_ipvs=proxy.get("mode_effective") == "ipvs" and proxy.get("running") is not False,
        kube_proxy=kube_proxy,
        kube_proxy_version=leading_version(kube_proxy),
        raw=raw,
    )
