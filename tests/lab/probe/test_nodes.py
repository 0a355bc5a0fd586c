# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Probes of nodes with a real kube-proxy, while clients connect to its Services: what an audit makes of them, and what they leave alone."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time

import pytest
import yaml

from lab_tests import TESTS, connection, lab, say, wait_until

CHECKOUT = TESTS.parent
CAPABILITIES = ("reuse_without_drop", "respects_zero_weight", "flushes_deleted")
WORDS = {True: "yes", False: "no"}
SHOP = "10.96.0.60"
SCRIPT = "/root/ipvs_probe.py"
TRAFFIC = "/root/traffic.py"
PROBES = int(os.environ.get("RUNS", "20"))
KILLS = 10
SETTLE_SECONDS = 60
PAUSE_SECONDS = 3
# Everything of the node that a probe could touch, each part after a line with its name. What counts packets, or what everybody uses, is left out.
STATE = r"""
part() { echo "== $1"; shift; "$@" 2>&1; }
part links ip -details -oneline link
part addresses ip -oneline address
part routes ip route show table all
part rules ip rule
part neighbours sh -c "ip neigh | sed 's/ [A-Z]*$//' | sort"
part namespaces sh -c "ls /run/netns; readlink /proc/[0-9]*/ns/net | sort -u"
part table ipvsadm --save --numeric
part iptables sh -c "iptables-legacy-save | grep -v '^#' | sed 's/\[.*\]//'; iptables-nft-save 2>/dev/null | grep -v '^#'"
part ipsets sh -c "ipset list | grep -v 'References\|Size in'"
part modules sh -c "cut -d ' ' -f 1 /proc/modules | sort; grep -E '^(ip_vs|veth|nf_conntrack|nf_nat)' /proc/modules | cut -d ' ' -f 1,3 | sort"
part mounts cat /proc/self/mounts
part processes sh -c "ps -eo args | grep -v -e '^sshd:' -e '^bash -c' -e '^sh -c' -e '^ps ' -e kworker -e '^sort' -e traffic.py -e '^/bin/bash' \
    -e '^ip6*tables' -e '^ipset' | sort"
part files sh -c "for p in kube-proxy systemd-journal; do ls /proc/\$(pgrep -o \$p)/fd | wc -l; done"
part temporary sh -c "find /run /tmp /var/tmp -xdev ! -path '/run/systemd/*' ! -path '/run/log/*' ! -path '/run/user*' ! -path '/run/lab-traffic*' \
    | sort"
part sysctls sh -c "find /proc/sys/net /proc/sys/kernel /proc/sys/user -type f -readable ! -path '*/random/*' ! -name '*random*' ! -name 'stable_secret' \
    ! -name nf_conntrack_count ! -name 'ns_last_pid' ! -name 'pty' ! -path '*/pty/*' -exec grep -H '' {} + | sort"
"""
COUNT = "cat /proc/sys/net/netfilter/nf_conntrack_count"


class Kernel:
    """The kernel of a node, as the lab declares it."""

    def __init__(self, node_name):
        nodes, kernels = (yaml.safe_load((TESTS / f"lab/{name}.yml").read_text(encoding="utf-8")) for name in ("nodes", "kernels"))
        self.name = nodes[node_name]["kernel"]
        # What it really does, and of what its name tells something else.
        self.capabilities = {name: WORDS[value] for name, value in kernels[self.name]["capabilities"].items()}
        self.misleading = kernels[self.name].get("misleading", [])


def state(node):
    """{part: its lines}."""
    parts = {}
    for line in node.run(STATE).splitlines():
        if line.startswith("== "):
            parts[line[3:]] = []
        else:
            parts[list(parts)[-1]].append(line)
    return parts


def differences(before, after):
    """What is not the same, in a line for each part. Of open files there may be fewer: kube-proxy closes connections that it has long had."""
    found = []
    for part in before:
        gone, new = sorted(set(before[part]) - set(after[part])), sorted(set(after[part]) - set(before[part]))
        same = all(int(now) <= int(then) for then, now in zip(before[part], after[part])) if part == "files" else sorted(before[part]) == sorted(after[part])
        if not same:
            found.append(f"{part}: gone {gone[:5]}, new {new[:5]}")
    return found


def settled_state(node):
    """The state, once two looks with some seconds between them see the same: a kube-proxy that has just started still writes its rules."""
    seen = [state(node)]

    def same_again():
        time.sleep(PAUSE_SECONDS)
        seen.append(state(node))
        return not differences(*seen[-2:]) and seen[-1]

    return wait_until(same_again, f"{node.name}: a state that stays")


def assert_untouched(node, before):
    """The node is as it was, once the kernel has taken the last namespaces down."""
    deadline = time.monotonic() + SETTLE_SECONDS
    found = differences(before, state(node))
    # kube-proxy starts programs and opens files, too.
    while found and time.monotonic() < deadline:
        time.sleep(0.5)
        found = differences(before, state(node))
    assert found == []


def capabilities_of(ended, node):
    """What a report says that the node's kernel can do."""
    [entry] = [entry for entry in ended.report["nodes"] if entry["name"] == node.name]
    return {name: (entry["capabilities"][name]["state"], entry["capabilities"][name].get("evidence")) for name in CAPABILITIES}, entry


@pytest.fixture(name="shop", scope="module")
def shop_fixture(fleet):
    """A Service with two backends; nodes get it from kube-proxy."""
    fleet.node("unfixed-unknown")
    lab("service", "shop", SHOP)
    return SHOP


@pytest.fixture(name="script", scope="session")
def script_fixture(tmp_path_factory):
    """The probe as one file."""
    path = tmp_path_factory.mktemp("standalone") / "ipvs_probe.py"
    path.write_bytes(subprocess.run([sys.executable, CHECKOUT / "standalone/build.py"], check=True, stdout=subprocess.PIPE).stdout)
    return path


def put(node, path, target):
    """Copy a file to the node."""
    words = ["ssh", "-F", connection()["ssh_config"], node.name, f"cat >{target}"]
    subprocess.run(words, check=True, input=path.read_bytes(), timeout=120)


def ask(node, python="python3", path="/nonexistent"):
    """What the script says; with a PATH on which there is nothing."""
    done = node.attempt(f"PATH={path} $(command -v {python}) {SCRIPT}", 60)
    assert done.returncode == 0, done.stdout + done.stderr
    sentence, _newline, document = done.stdout.partition("\n")
    return sentence, json.loads(document)


def test_an_audit_asks_the_kernels_that_nobody_knows(fleet, tmp_path):
    """One of two nodes with the same kernel is asked, the answer counts for both, is kept, and is used by later runs; a known kernel is left alone."""
    nodes = [fleet.node(name) for name in ("unfixed-unknown", "lies-fixed", "fixed-5-10")]
    cache = tmp_path / "probes.json"
    variables = {"audit_probe": "unknown", "audit_probe_cache": str(cache)}
    before = fleet.play("audit", nodes)
    assert capabilities_of(before, nodes[0])[0]["flushes_deleted"][0] == "unknown"
    ended = fleet.play("audit", nodes, "-e", json.dumps(variables))
    assert ended.status == 0, ended.output
    told, entry = capabilities_of(ended, nodes[0])
    assert told == {name: (state_word, "probe") for name, state_word in Kernel(nodes[0].name).capabilities.items()}, ended.output
    assert "measured on this kernel (unfixed-unknown, " in entry["capabilities"]["reuse_without_drop"]["source"]
    # Its vendor's table knows everything of it, wrongly.
    assert {evidence for _state, evidence in capabilities_of(ended, nodes[1])[0].values()} == {"vendor_table"}
    kept = cache.read_bytes()
    again = fleet.play("audit", nodes, "-e", json.dumps(variables))
    assert capabilities_of(again, nodes[0])[0] == told and cache.read_bytes() == kept
    assert "Ask the kernel" in ended.output and "Ask the kernel" not in again.output, again.output
    later = fleet.play("audit", nodes, "-e", json.dumps({"audit_probe_cache": str(cache)}))
    assert capabilities_of(later, nodes[0])[0] == told


def test_kernels_whose_names_lie(fleet, tmp_path):
    """`always` asks known kernels, too: the probe counts, the contradiction is a finding, and a repair does what is right for the kernel that is there."""
    nodes = [fleet.node(name) for name in ("lies-fixed", "lies-unfixed")]
    believed = fleet.play("audit", nodes)
    cache = json.dumps({"audit_probe": "always", "audit_probe_cache": str(tmp_path / "probes.json")})
    ended = fleet.play("audit", nodes, "-e", cache)
    plans = []
    for node in nodes:
        told, entry = capabilities_of(ended, node)
        plans.append((capabilities_of(believed, node)[1]["plan"]["action"], entry["plan"]["action"]))
        assert told == {name: (word, "probe") for name, word in Kernel(node.name).capabilities.items()}, ended.output
        contradicted = [finding["text"].split()[0] for finding in entry["findings"] if finding["key"] == "probe_contradicts"]
        assert sorted(contradicted) == sorted(Kernel(node.name).misleading)
    # On a kernel that is called 3.10 this kube-proxy leaves the value at 1.
    assert plans == [("hold", "decide"), ("decide", "none")]
    # The report says why.
    assert "was measured on this kernel: no; vendor table says yes" in ended.output
    repaired = fleet.play("remediate", nodes, "-e", json.dumps({"audit_probe_cache": str(tmp_path / "probes.json")}), "--check")
    assert repaired.status == 0 and "1 unchanged" in repaired.output and "1 left" in repaired.output, repaired.output


@pytest.mark.parametrize("name", ["unfixed-unknown", "fixed-5-10"])
def test_twenty_probes_beside_live_traffic(fleet, shop, script, name):
    """No connection of a client fails or is slower, and nothing of the node is touched. There is neither ip nor ipvsadm on the PATH."""
    node = fleet.node(name)
    wait_until(lambda: f"{shop}:80 " in node.run("ipvsadm -Ln"), "the Service is there")
    put(node, script, SCRIPT)
    put(node, CHECKOUT / "molecule/leave_ipvs/files/traffic.py", TRAFFIC)
    traffic = node.start(f"exec ip netns exec client-1 python3 {TRAFFIC} run {shop} 80")
    expected = Kernel(name).capabilities
    try:
        time.sleep(3)
        before, tracked = settled_state(node), int(node.run(COUNT))
        node.run(f"python3 {TRAFFIC} mark alone; sleep 20")
        # As much work for the processor as a probe is, without one.
        node.run(f"python3 {TRAFFIC} mark busy")
        for _number in range(PROBES):
            node.run(f"python3 {SCRIPT} --help >/dev/null; python3 -c 'import time; end = time.process_time() + 0.3\nwhile time.process_time() < end: pass'")
        node.run(f"python3 {TRAFFIC} mark probed")
        answers = [ask(node) for _number in range(PROBES)]
        node.run(f"python3 {TRAFFIC} mark after; sleep 5")
        parts = json.loads(node.run(f"python3 {TRAFFIC} parts"))
        assert_untouched(node, before)
        counted = int(node.run(COUNT))
    finally:
        traffic.kill()
        node.attempt("pkill -f traffic.py")
    for sentence, result in answers:
        assert {word: result["capabilities"][word]["state"] for word in CAPABILITIES} == expected, result
        assert result["answer"] == "conclusive" and sentence.startswith("Kernel ")
    seconds = sorted(result["seconds"] for _sentence, result in answers)
    for part in ("alone", "busy", "probed"):
        figures = parts[part]
        say(f"{name}, {part}: {figures['connections']} connections, {figures['errors']} errors, median {figures['p50'] * 1000:.1f} ms, "
            f"p99 {figures['p99'] * 1000:.1f} ms, slowest {figures['slowest'] * 1000:.1f} ms")
    say(f"{name}: {PROBES} probes, {seconds[0]} to {seconds[-1]} s; conntrack had {tracked} entries, then {counted}")
    assert all(figures["errors"] == 0 for figures in parts.values()), parts
    # A packet that is lost costs a second. The rest is what a processor does that has something else to do as well.
    slow = {part: figures["slow"] / figures["connections"] for part, figures in parts.items()}
    assert slow["probed"] <= slow["busy"] + 0.005, parts
    assert parts["probed"]["p99"] < max(3 * parts["busy"]["p99"], parts["busy"]["p99"] + 0.1), parts


def test_probes_that_are_killed(fleet, script):
    """`kill -9` at ten moments of a probe: nothing is left of it."""
    node = fleet.node("unfixed-unknown")
    put(node, script, SCRIPT)
    before = settled_state(node)
    chance = random.Random(4)
    for _number in range(KILLS):
        pause = chance.uniform(0.05, 1.5)
        node.run(f"python3 {SCRIPT} >/dev/null 2>&1 & probe=$!; sleep {pause:.2f}; kill -9 $probe; wait $probe || true")
        assert_untouched(node, before)


def test_an_old_node(fleet, tmp_path):
    """Python 2.7 and nothing newer, through Ansible."""
    controller = subprocess.run([TESTS / "controller216"], check=False, capture_output=True, text=True)
    if controller.returncode:
        pytest.skip("ansible-core 2.16 needs Python 3.10, 3.11 or 3.12")
    node = fleet.node("unfixed")
    before = settled_state(node)
    variables = {"audit_probe": "always", "audit_probe_cache": str(tmp_path / "probes.json")}
    ended = fleet.play("audit", [node], "-e", json.dumps(variables), environment="core216", python=controller.stdout.strip())
    told = capabilities_of(ended, node)[0]
    assert told == {name: (word, "probe") for name, word in Kernel(node.name).capabilities.items()}, ended.output
    assert_untouched(node, before)


def test_check_mode_and_no_root(fleet, script):
    """Neither measures anything; both say why."""
    node = fleet.node("unfixed-unknown")
    ended = fleet.play("audit", [node], "-e", "audit_probe=always", "--check")
    assert "check mode: it would be measured in network namespaces of its own" in ended.output, ended.output
    put(node, script, "/tmp/ipvs_probe.py")
    done = node.attempt("setpriv --reuid 65534 --regid 65534 --clear-groups python3 /tmp/ipvs_probe.py; status=$?; rm /tmp/ipvs_probe.py; exit $status")
    assert (done.returncode, done.stdout, done.stderr) == (2, "", "Not measured: it needs root, to make network namespaces.\n")
