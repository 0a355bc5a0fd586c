# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether kube-proxy of a node can be moved to another mode, and what that takes."""

from __future__ import annotations

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import kube_proxy_versions
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, mapping, number, read, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_owners import refusal_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import leading_version, version

IPVS, IPTABLES, NFTABLES = "ipvs", "iptables", "nftables"
TARGETS = (IPTABLES, NFTABLES, IPVS)
NONE, SWITCH, TAKE_BACK, CLEAR, REFUSE = "none", "switch", "take_back", "clear", "refuse"
REFUSE_FOREIGN, KEEP_FOREIGN = "refuse", "keep"
# Forms whose configuration is that of the whole cluster.
CLUSTER_FORMS = ("daemonset",)
# Forms in which another program has to start anew for kube-proxy to get its arguments.
FORMS_WITH_STARTER = ("rke2",)
SHOWN = 5


class ModeSwitchError(ValueError):
    """What was asked for cannot be meant. The text names it."""


def _words(value) -> list[str]:
    return [item for item in sequence(value) if isinstance(item, str)]


def _listed(items: list[str]) -> str:
    more = f" and {len(items) - SHOWN} more" if len(items) > SHOWN else ""
    return ", ".join(items[:SHOWN]) + more


def _version_refusals(facts: NodeFacts, target: str, row: dict) -> list[str]:
    """Why this version of kube-proxy does not have the mode."""
    if facts.kube_proxy_version is None:
        # Every version has had it, for as long as anybody runs one.
        return [] if target == IPTABLES else [f"the version of kube-proxy is not known, and not every one has {target} mode"]
    entry = kube_proxy_versions.latest(row["stages"], facts.kube_proxy_version)
    stage = entry["stage"] if entry else None
    if stage in ("beta", "stable"):
        return []
    if stage == "removed":
        return [f"kube-proxy {facts.kube_proxy} no longer has {target} mode"]
    first = next(entry["from"] for entry in row["stages"] if entry["stage"] in ("beta", "stable"))
    words = "has it behind a feature gate alone" if stage == "alpha" else "does not have it"
    return [f"{target} mode needs kube-proxy {version(first).base_version} or newer, and {facts.kube_proxy} {words}"]


def _kernel_refusals(facts: NodeFacts, target: str, row: dict) -> list[str]:
    if target == IPVS:
        start = kube_proxy_versions.at_start(facts.kube_proxy, facts.kernel_version, facts.value_absent, facts.runs_ipvs)
        found = [f"kube-proxy {facts.kube_proxy} does not start in IPVS mode on this kernel"] if start.action == kube_proxy_versions.FAIL else []
        kernel = mapping(facts.raw.get("kernel"))
        missing = facts.ip_vs == "absent" and kernel.get("ip_vs_module_available") is False
        return found + (["this kernel has no module ip_vs"] if missing else [])
    if "kernel_from" not in row:
        return []
    if facts.kernel_version is None:
        return [f"{target} mode needs kernel {row['kernel_from']} or newer, and the version of this kernel is not known"]
    if facts.kernel_version < version(row["kernel_from"]):
        return [f"{target} mode needs kernel {row['kernel_from']} or newer, and this is {facts.kernel_release}"]
    return []


def _nft_refusals(facts: NodeFacts, settings: dict, target: str, row: dict) -> list[str]:
    # In a pod kube-proxy has an nft of its own.
    if "nft_from" not in row or facts.form not in ("systemd", "process"):
        return []
    found = leading_version(text(settings.get("nft_version")))
    if found is None:
        return [f"{target} mode needs the program nft {row['nft_from']} or newer, and this node has none that tells its version"]
    return [] if found >= version(row["nft_from"]) else [f"{target} mode needs nft {row['nft_from']} or newer, and this node has {settings['nft_version']}"]


def _foreign(facts: NodeFacts) -> tuple[list[str], int | None]:
    """(the foreign services that are named, how many there are, None if that is not known)."""
    table = facts.part("table")
    named = [f"{entry.get('protocol')} {entry.get('service')}" for entry in map(mapping, sequence(table.get("foreign_services")))]
    count = number(table.get("foreign"))
    if table.get("state") == "absent":
        count = 0
    return named, count


def _foreign_refusals(facts: NodeFacts, target: str, row: dict, foreign: str) -> list[str]:
    """Why what others have in the IPVS table forbids the switch."""
    if target == IPVS:
        return []
    flushes = row.get("flushes_ipvs", False)
    if foreign == KEEP_FOREIGN and not flushes:
        return []
    named, count = _foreign(facts)
    excluded = _words(facts.part("kube_proxy").get("exclude_cidrs"))
    because = f": kube-proxy in {target} mode flushes them at each start" if flushes else ""
    found = []
    if count is None and facts.part("table").get("state") != "absent":
        found.append("it cannot be told whether the IPVS table has services that kube-proxy does not own")
    if count:
        found.append(f"the IPVS table has services that kube-proxy does not own ({_listed(named)}){because}")
    if excluded and not count:
        found.append(f"kube-proxy is told to leave IPVS services of others alone (excludeCIDRs {_listed(excluded)}), though there are none now{because}")
    return found


def _neighbours(settings: dict, ignored: list[str]) -> tuple[list[str], list[str]]:
    """(refusals, warnings) for the programs that run beside kube-proxy."""
    rows = load("mode_switch")["neighbours"]
    present = {text(mapping(entry).get("name")) for entry in sequence(settings.get("neighbours"))}
    refusals, warnings = [], []
    for name, row in rows.items():
        if name in present:
            (refusals if row["leaving_ipvs"] == "refuse" and name not in ignored else warnings).append(row["text"])
    return refusals, warnings


def _setting_warnings(facts: NodeFacts, target: str) -> list[str]:
    rows, proxy = load("mode_switch")["settings"], facts.part("kube_proxy")
    found = [rows["strict_arp"]["text"]] if proxy.get("strict_arp") is True else []
    scheduler = proxy.get("scheduler")
    if isinstance(scheduler, str) and scheduler not in rows["scheduler"]["same"]:
        found.append(rows["scheduler"]["text"].format(value=scheduler, target=target))
    return found


def _has_leftovers(facts: NodeFacts) -> bool:
    """Whether IPVS has left something on a node that is in another mode."""
    traces = mapping(facts.part("kube_proxy").get("traces"))
    table = facts.part("table")
    foreign = number(table.get("foreign")) or 0
    services = number(table.get("services")) or 0
    return traces.get("kube_ipvs0") is True or services > foreign


def _obstacles(facts: NodeFacts) -> list[str]:
    """Why nothing can be said of this node's kube-proxy."""
    proxy = facts.part("kube_proxy")
    if facts.form == "none":
        return ["there is no kube-proxy on this node"]
    if facts.running is not True:
        return ["kube-proxy does not run on this node" if facts.running is False else "it is not known whether kube-proxy runs on this node"]
    if proxy.get("network_namespace") not in (None, "host"):
        return ["kube-proxy runs in a network namespace of its own"]
    if facts.mode is None:
        return ["the mode of kube-proxy is not known"]
    return []


def _merged_lines(old: list[dict], new: list[dict]) -> list[dict]:
    """The lines of a file that was edited before and is to be edited once more, as the file was before either."""
    chained = {line["replacement"]: line for line in old}
    found = {line["line"]: line for line in old}
    for line in new:
        first = chained.get(line["line"])
        found[first["line"] if first else line["line"]] = {"line": first["line"] if first else line["line"], "replacement": line["replacement"]}
    return [line for line in found.values() if line["line"] != line["replacement"]]


def merged_files(old: list[dict], new: list[dict]) -> list[dict]:
    """The files of a record that has OLD and is to have NEW too, each as the module recorded_files takes them."""
    found = {entry["path"]: entry for entry in old}
    for entry in new:
        before = found.get(entry["path"])
        if before and before.get("lines") and entry.get("lines"):
            entry = {"path": entry["path"], "lines": _merged_lines(before["lines"], entry["lines"])}
        found[entry["path"]] = entry
    return [entry for entry in found.values() if entry.get("lines") != []]


def _old_files(recorded: dict) -> list[dict]:
    """The files that the role has edited on this node before."""
    return [entry for entry in map(mapping, sequence(recorded.get("files"))) if text(entry.get("path"))]


def _result(action: str, facts: NodeFacts, target: str, reasons: list[str], **more) -> dict:
    return {
        "action": action,
        "target": target,
        "from": facts.mode_effective or facts.mode,
        "reasons": reasons,
        "warnings": [],
        "files": [],
        "where": [],
        "cluster": False,
        "daemon_reload": False,
        "leftovers": False,
        "exclude_cidrs": _words(facts.part("kube_proxy").get("exclude_cidrs")),
        "record": {},
        "restart": "",
        **more,
    }


def mode_switch(facts, settings, target: str, foreign: str = REFUSE_FOREIGN, ignored=(), recorded=None) -> dict:
    """What it takes to have kube-proxy in mode TARGET on a node: see the filter kube_proxy_mode_changes.

    settings: what the module kube_proxy_mode returned. foreign: refuse or keep. ignored: names of neighbours that forbid nothing.
    recorded: what the role wrote down when it switched this node before. Raises ModeSwitchError.
    """
    if target not in TARGETS:
        raise ModeSwitchError(f"target: {target!r} is not one of {', '.join(TARGETS)}")
    if foreign not in (REFUSE_FOREIGN, KEEP_FOREIGN):
        raise ModeSwitchError(f"foreign: {foreign!r} is not one of {REFUSE_FOREIGN}, {KEEP_FOREIGN}")
    if not isinstance(ignored, (list, tuple)) or not all(isinstance(name, str) for name in ignored):
        raise ModeSwitchError("ignored: not a list of names")
    node = facts if isinstance(facts, NodeFacts) else read(facts)
    settings, recorded = mapping(settings), mapping(recorded)
    obstacles, refused = _obstacles(node), _words(settings.get("refused"))
    if obstacles:
        # A configuration that cannot be read is why its mode is not known.
        return _result(REFUSE, node, target, obstacles + refused)
    row = load("kube_proxy")["modes"][target]
    mode, leftovers = node.mode_effective or node.mode, target != IPVS and _has_leftovers(node)
    if recorded.get("from") == target and recorded.get("target") != target:
        return _result(TAKE_BACK, node, target, [f"the role moved kube-proxy from {target} to {recorded.get('target')} mode: what was there is put back"])
    if mode == target and (settings.get("up_to_date") is True or refused):
        named = _foreign(node)[0]
        if not leftovers:
            return _result(NONE, node, target, [f"kube-proxy is in {target} mode and nothing of IPVS is left"])
        spared = [f"services that kube-proxy does not own stay: {_listed(named)}"] if named else []
        return _result(CLEAR, node, target, [f"kube-proxy is in {target} mode, and what IPVS mode left is still there"], leftovers=True, warnings=spared)
    cluster = node.form in CLUSTER_FORMS
    refusals = _version_refusals(node, target, row) + _kernel_refusals(node, target, row) + _nft_refusals(node, settings, target, row)
    refusals += _foreign_refusals(node, target, row, foreign)
    held, warnings = _neighbours(settings, list(ignored)) if target != IPVS else ([], [])
    refusals += held + refused
    owner = refusal_of(settings)
    refusals += [owner] if owner else []
    new = [mapping(entry) for entry in sequence(settings.get("files"))]
    if not refusals and not cluster and not new and settings.get("up_to_date") is not True:
        refusals.append("it is not known where the mode of this kube-proxy is set")
    warnings += _setting_warnings(node, target) if target != IPVS else []
    if refusals:
        return _result(REFUSE, node, target, refusals, warnings=warnings, where=sequence(settings.get("where")), cluster=cluster)
    said = f"kube-proxy is in {mode} mode" if mode != target else f"kube-proxy is in {mode} mode, but its configuration says {node.mode_configured}"
    files = merged_files(_old_files(recorded), new)
    before = recorded.get("from") if recorded.get("from") in TARGETS else mode
    daemon_reload = settings.get("daemon_reload") is True or recorded.get("daemon_reload") is True
    starter = (text(settings.get("restart")) or text(recorded.get("restart")) or "") if node.form in FORMS_WITH_STARTER else ""
    return _result(
        SWITCH,
        node,
        target,
        [said],
        warnings=warnings,
        files=files,
        where=sequence(settings.get("where")),
        cluster=cluster,
        daemon_reload=daemon_reload,
        leftovers=mode != target or leftovers,
        restart=starter,
        record={"from": before, "target": target, "files": files, "daemon_reload": daemon_reload, "cluster": cluster, "restart": starter},
    )
