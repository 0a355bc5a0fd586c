# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The page docs/measured.md: what each kernel of the lab did, and what the decision says of it.

It holds nothing that changes from run to run: no days, no milliseconds, no build numbers of packages.
"""

from __future__ import annotations

import pathlib

INTRODUCTION = """# Measured

What kernels do when a source port is used again, for every combination of `net.ipv4.vs.conntrack`, `conn_reuse_mode` and `expire_nodest_conn`, and what the
decision ([verdict.md](verdict.md)) says of that kernel and setting. `make truth-table` boots every kernel of the lab ([lab.md](lab.md)), measures all of it
anew and fails where a kernel contradicts the decision, where a kernel of the lab is not what `tests/lab/kernels.yml` declares, and where this page is not
what was measured. `tests/lab/truth_table/run --write` writes it.

A client, a director and two backends, each in a network namespace; a `rr` service with masquerading as kube-proxy makes it, and kube-proxy's `MASQUERADE`
rule for marked packets, without which conntrack would not be active. The client opens connections from fixed ports, the backend closes first, and the client
connects again from the same ports: five ports for each answer, of which more than half have to agree. IPVS' entries and conntrack's are looked at before the
second connection; a setting where they are not in the state that is to be measured is measured again, and fails if that does not help.

* **used again**: how long the second connection takes to stand (*fast*: below 0.5 s; *1 s*: the first SYN was lost; *3 s*: the second as well), and whether
  it goes to the *same backend* as the one before or is *scheduled again*.
* **weight 0**: the same after the first connection's backend has got weight 0, as kube-proxy does with a backend that is being removed. **stuck**: it is
  reached all the same. *moves on*: another backend answers.
* **deleted**: the same after that backend was deleted from the service. **no answer**: none within 3.5 s, after three SYNs.
* The columns ESTABLISHED, FIN_WAIT and CLOSE are about connections that ended otherwise, named by the state of IPVS' entry: both sides vanished without a
  packet; the backend closed and then both vanished; the backend sent RST. All other columns are about TIME_WAIT.
* **masqueraded**: packets of the client carry kube-proxy's mark, as those from outside the cluster to a NodePort do.
  *as above*, here and for IPv6: the same as in the kernel's first table.
* **UDP**: a client that sends another datagram from the same port; *1 s* is a datagram that was lost and sent again by the client.
* **the decision says**: the verdict for a node with this kernel and these values on which kube-proxy 1.20.2 runs in IPVS mode, from what the module
  `ipvs_facts` read on it.
"""
# What other tests have measured and a person wrote down, at the end of the page.
BY_HAND = ("Leaving IPVS mode",)
HEADINGS = ("used again", "used again, weight 0", "the decision says")
STATE_HEADINGS = ("ESTABLISHED", "ESTABLISHED, weight 0", "FIN_WAIT", "FIN_WAIT, weight 0", "CLOSE", "CLOSE, weight 0")
STATES = ("established", "established_weight_0", "fin_wait", "fin_wait_weight_0", "close", "close_weight_0")
OTHERS = ("reuse_deleted", "udp_weight_0", "udp_deleted")
OTHER_HEADINGS = ("deleted", "UDP, weight 0", "UDP, deleted", "IPv6", "masqueraded")


def cell(case: dict, taken_out: bool) -> str:
    """What was measured, in words."""
    if case["inconclusive"]:
        return "inconclusive"
    if not taken_out:
        return f"{case['delay']}, {'same backend' if case['backend'] == 'same' else case['backend']}"
    words = {"same": "**stuck**", "other": "moves on", "none": "**no answer**"}
    after = "" if case["delay"] in ("fast", "never") else f" after {case['delay']}"
    return words[case["backend"]] + after


def pair(cases: dict, name: str) -> str:
    """What a client of another kind met, in short where it is what every other met."""
    cells = [cell(cases[name], False), cell(cases[name + "_weight_0"], True)]
    same = cells == [cell(cases["reuse"], False), cell(cases["reuse_weight_0"], True)]
    return "as above" if same else "; weight 0: ".join(cells)


def table(headings: tuple[str, ...], rows: list) -> list[str]:
    """Lines of a table of [(setting, cells)]; values of conn_reuse_mode that are the same in everything share a line."""
    values: dict = {}
    for (conntrack, mode, expire), cells in sorted(rows):
        values.setdefault((conntrack, expire, tuple(cells)), []).append(mode)
    # In the order of the settings: the smallest value first.
    lines = sorted((conntrack, modes, expire, cells) for (conntrack, expire, cells), modes in values.items())
    names = ("conntrack", "conn_reuse_mode", "expire_nodest_conn", *headings)
    written = [f"| {' | '.join(names)} |", "|" + "---|" * len(names)]
    return written + [f"| {' | '.join([str(conntrack), ', '.join(map(str, modes)), str(expire), *cells])} |" for conntrack, modes, expire, cells in lines]


def section(kernel) -> str:
    """All about one kernel."""
    origin = f"Built under the name `{kernel.release}`." if kernel.release else f"Debian's user-mode-linux ({kernel.package})."
    lines = [f"## {kernel.name}", "", origin, "", "| capability | measured | the decision says |", "|---|---|---|"]
    for capability, state in kernel.measured.items():
        judged = kernel.judged[capability]
        lines.append(f"| `{capability}` | {state or 'inconclusive'} | {judged['state']}{' (' + judged['evidence'] + ')' if 'evidence' in judged else ''} |")
    first = [(row.setting, [cell(row.cases["reuse"], False), cell(row.cases["reuse_weight_0"], True), f"`{row.verdict}`"]) for row in kernel.rows]
    states = [(row.setting, [cell(row.cases[name], name.endswith("weight_0")) for name in STATES]) for row in kernel.rows]
    others = [
        (row.setting, [*(cell(row.cases[name], True) for name in OTHERS), *(pair(row.cases, name) for name in ("ipv6", "masqueraded"))])
        for row in kernel.rows
    ]
    for headings, rows in ((HEADINGS, first), (STATE_HEADINGS, states), (OTHER_HEADINGS, others)):
        lines += ["", *table(headings, rows)]
    return "\n".join(lines) + "\n"


def split(text: str) -> dict[str, str]:
    """A page's sections by the name of the kernel; the introduction has an empty name."""
    introduction, *rest = text.split("\n## ")
    return {"": introduction, **{part.split("\n", 1)[0]: "## " + part.rstrip("\n") + "\n" for part in rest}} if text else {}


def keep(path: pathlib.Path, kernels: list, names: list[str], write: bool) -> list[str]:
    """Sentences for what differs between the page and what was measured; after writing nothing does.

    Kernels that were not measured, of those that the lab has (NAMES, in their order), keep what the page says of them.
    """
    there = split(path.read_text(encoding="utf-8") if path.exists() else "")
    measured = {"": INTRODUCTION, **{kernel.name: section(kernel) for kernel in kernels}}
    if write:
        wanted = {name: measured.get(name, there.get(name)) for name in ("", *names, *BY_HAND)}
        path.write_text("\n".join(text for text in wanted.values() if text), encoding="utf-8")
        return []
    differences = [f"what it says of {name or 'the way it is measured'} is not what was measured" for name, text in measured.items() if there.get(name) != text]
    return differences + [f"it has a kernel {name}, which the lab has not" for name in there if name and name not in (*names, *BY_HAND)]
