# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""docs/kube-proxy.md, made of kube_proxy.yml: which version writes what on which kernel, known bugs, modes, removal."""

from __future__ import annotations

from page_parts import code, linked, source_list, table

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load, source_text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.release import version

# A kernel of each kind that a class tells apart, by the leading number of uname -r and whether it has the value at all.
KERNELS = {
    "older than 4.1, without the value": ("3.10", True),
    "older than 4.1, with it": ("3.10", False),
    "4.1 to 5.8": ("4.18", False),
    "5.9 and newer": ("5.10", False),
}
LETTERS = {
    "A": "older than 4.1 without the value",
    "B": "older than 4.1 with it (RHEL 7)",
    "C": "4.1 to 5.8 without the fix",
    "D": "4.1 to 5.8 with it",
    "E": "5.9 or newer",
}
INTRODUCTION = """# What kube-proxy writes

```
kube-proxy --version
```

In IPVS mode kube-proxy writes `net.ipv4.vs.conn_reuse_mode` once, while it starts, and never again. What it writes depends on its own version and on the
**leading number** of `uname -r`: it does not know which kernels have the fix under an older number ([is my kernel fixed?](kernels.md)), and sets 0 on them at
every start.

The version is that of kube-proxy itself: its image's tag, `kubernetes_build_info` at its metrics port, or the command above. `kubeProxyVersion` of a Node
object is the kubelet's. The audit reads it; [before an upgrade](before-an-upgrade.md) says what another version will do. This page is made of
[kube_proxy.yml](../plugins/plugin_utils/knowledge/kube_proxy.yml) by `make docs`.
"""


def _source(key: str) -> str:
    return linked(source_text(load("kube_proxy"), key))


def _holds(condition: dict, number: str, absent: bool) -> bool:
    kernel = version(number)
    return (
        condition.get("sysctl_absent", absent) == absent
        and ("kernel_below" not in condition or kernel < version(condition["kernel_below"]))
        and ("kernel_from" not in condition or kernel >= version(condition["kernel_from"]))
    )


def _action(entry: dict, number: str, absent: bool) -> str:
    action = next(item for item in entry["writes"] if _holds(item, number, absent))
    if action["action"] == "write":
        return "nothing to write" if absent else f"sets {action['value']}"
    return {"leave": "leaves it alone", "fail": "**does not start**"}[action["action"]]


def _readable(number: str) -> str:
    """As Kubernetes writes it: 1.22.0a0, the very first of a version, is 1.22.0; 1.19.0a1 is 1.19.0-alpha.1."""
    return number.removesuffix("a0").replace("a", "-alpha.").replace("rc", "-rc.")


def _span(begin: str, end: str | None) -> str:
    """The versions from BEGIN on, before END, in words."""
    if end is None:
        return f"{_readable(begin)} and newer"
    if version(begin).release == version(end).release:
        return f"pre-releases of {_readable(begin)} before {_readable(end)}"
    return f"{_readable(begin)} to before {_readable(end)}"


def _spans(entries: list[dict]) -> list[tuple[str, dict]]:
    """Each entry with the versions for which it holds, in words."""
    ends = [*(entry["from"] for entry in entries[1:]), None]
    return [(_span(entry["from"], end), entry) for entry, end in zip(entries, ends)]


def _writes() -> list[str]:
    document = load("kube_proxy")
    rows = []
    for words, entry in _spans(document["versions"]):
        known = document["classes"].get(entry["class"])
        cells = [_action(known, *kernel) for kernel in KERNELS.values()] if known else ["unknown"] * len(KERNELS)
        confidence = entry.get("confidence", known["confidence"]) if known else None
        rows.append([words, *cells, f"{confidence}: {_source(known['source'])}" if known else "not looked up"])
    gated = [
        f"{words}: one that was seen running in IPVS mode (its feature gate is set) is taken for class {entry['running']} of the table "
        "[below](#what-an-upgrade-changes), which was before it.\n"
        for words, entry in _spans(document["versions"])
        if "running" in entry
    ]
    return [
        *("## Versions", ""),
        *table(["kube-proxy", *(f"kernel {name}" for name in KERNELS), "source"], rows),
        "Where it leaves the value alone it also leaves what an older kube-proxy, a sysctl file or somebody's hand has set: a 0 stays until the next reboot.",
        "",
        *gated,
    ]


def _vendors() -> list[str]:
    document = load("kube_proxy")
    rows = []
    for build in document["vendor_builds"]:
        known = document["classes"][build["class"]]
        names = [code(build[part]) for part in ("key", "match", "from")]
        rows.append([build["vendor"], *names, known["title"], f"{known['confidence']}: {_source(known['source'])}"])
    head = ["vendor", "row", "version", "from", "what it does", "source"]
    how = "The two groups of the expression, as PATCH.BUILD, are compared with *from*. Older builds are as above."
    return ["## Vendors' builds", "", how, "", *table(head, rows)]


def _others() -> list[str]:
    document = load("kube_proxy")
    expire = [[words, entry["written"]] for words, entry in _spans(document["expire_nodest_conn"])]
    kubelet = [
        [form, words.replace("0 to before", "before") if entry["from"] == "0" else words, "yes" if entry["restarts"] else "no"]
        for form, entries in document["restarts_with_kubelet"].items()
        for words, entry in _spans(entries)
    ]
    kubelet = [[form, "all" if words == "0 and newer" else words, answer] for form, words, answer in kubelet]
    return [
        *("## `expire_nodest_conn`", ""),
        *("Whether `net.ipv4.vs.expire_nodest_conn=1` is written at each start; without it 0 sticks to dead backends on every kernel.", ""),
        *table(["kube-proxy", "written"], expire),
        *("## Restarted with the kubelet", "", "Whether a restart of the kubelet (of k3s, of kubelite) starts kube-proxy anew, and so writes the value.", ""),
        *table(["form", "version", "starts anew"], kubelet),
    ]


def _bugs() -> list[str]:
    rows = []
    for bug in load("kube_proxy")["bugs"]:
        kernel = " ".join(f"{words} {bug[key]}" for key, words in (("kernel_from", "from"), ("kernel_below", "below")) if key in bug)
        versions = ", ".join(_span(span["from"], span["below"]) for span in bug["versions"])
        rows.append([code(bug["key"]), versions, kernel or "all", bug["severity"], bug["text"], _source(bug["source"])])
    return ["## Known bugs", "", *table(["key", "kube-proxy", "kernel", "severity", "what happens", "source"], rows)]


def _modes() -> list[str]:
    modes = load("kube_proxy")["modes"]
    rows = []
    for name, mode in modes.items():
        if not isinstance(mode, dict):
            continue
        stages = ", ".join(f"{entry['stage']} from {_readable(entry['from'])}" for entry in mode["stages"])
        needs = [f"kernel {mode['kernel_from']}" if "kernel_from" in mode else "", f"nft {mode['nft_from']}" if "nft_from" in mode else ""]
        flushes = "; removes all IPVS services at each start" if mode.get("flushes_ipvs") else ""
        rows.append([name, stages, (", ".join(filter(None, needs)) or "nothing more") + flushes, _source(mode["source"])])
    fallback = _readable(modes["no_fallback_from"])
    return [
        *("## Modes", "", *table(["mode", "stages", "needs", "source"], rows)),
        f"From {fallback} on kube-proxy exits where it cannot use IPVS. Before, it goes on in iptables mode and says so only in its log.",
        "",
    ]


def _removal() -> list[str]:
    document = load("kube_proxy")
    rows = [[_readable(entry["from"]), entry["text"]] for entry in document["removal"]]
    where = f"{_source(document['removal_source'])}. What to do about it: [leaving IPVS](leaving-ipvs.md)."
    return ["## The end of IPVS mode", "", where, "", *table(["from", "what"], rows)]


def _condition(row: dict, when: str) -> str:
    words = []
    for part, name in (("kube_proxy", "kube-proxy"), ("kernel", "kernel")):
        keys = row.get(f"{part}_{when}", [])
        if keys:
            words.append(f"{name} {', '.join(keys)}")
    key = {"from": ("version_from_below", "below"), "to": ("version_to_from", "from")}[when]
    if key[0] in row:
        words.append(f"kube-proxy {key[1]} {_readable(row[key[0]])}")
    if when == "to" and "version_to_below" in row:
        words.append(f"below {_readable(row['version_to_below'])}")
    return "; ".join(words) or "any"


def _more(row: dict) -> str:
    words = [f"value {row['value_now']} now"] if "value_now" in row else []
    words += ["another kernel"] if row.get("new_kernel") else []
    words += ["another kube-proxy"] if row.get("new_kube_proxy") else []
    words += [f"form {', '.join(row['form'])}"] if "form" in row else []
    return "; ".join(words)


def _transitions() -> list[str]:
    document = load("kube_proxy")
    rows = [
        [code(row["key"]), _condition(row, "from"), _condition(row, "to"), _more(row), row["text"], _source(row["source"])] for row in document["transitions"]
    ]
    classes = [[code(key), entry["title"], entry["confidence"], _source(entry["source"])] for key, entry in document["classes"].items()]
    return [
        *("## What an upgrade changes", "", "The sentences of a [forecast](before-an-upgrade.md). Classes of kube-proxy:", ""),
        *table(["class", "what it does in IPVS mode", "confidence", "source"], classes),
        "Kinds of kernels: " + "; ".join(f"**{letter}** {words}" for letter, words in LETTERS.items()) + ".",
        "",
        *table(["key", "from", "to", "and", "what is said", "source"], rows),
    ]


def page() -> str:
    """The whole page."""
    lines = [INTRODUCTION, *_writes(), *_vendors(), *_others(), *_bugs(), *_modes(), *_removal(), *_transitions(), *source_list(load("kube_proxy")["sources"])]
    return "\n".join(lines).rstrip("\n") + "\n"
