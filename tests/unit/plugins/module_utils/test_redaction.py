# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Secrets in command lines: in the words of a process, in the lines of scripts, and in the facts that are made of them."""

from __future__ import annotations

import json
import time

import pytest
from node_trees import CONFIG_IPVS, first_process, process

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.hold import read_hold
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_place import find_mode
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import REDACTED, redacted, redacted_words
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writers import read_writers
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.neutralise import neutralise

SECRET = "hunter2Secret"
K3S_TOKEN = "K10" + "0a" * 32 + "::server:" + SECRET
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJrdWJlLXByb3h5In0.c2lnbmF0dXJl"
KEY = "net.ipv4.vs.conn_reuse_mode"
WANTED = "/etc/systemd/system/multi-user.target.wants/"


class TestWords:
    @pytest.mark.parametrize(
        ("words", "shown"),
        [
            (["k3s", "agent", "--token", SECRET, "--v=2"], ["k3s", "agent", "--token", REDACTED, "--v=2"]),
            (["k3s", "server", "-token", SECRET], ["k3s", "server", "-token", REDACTED]),
            (["kube-proxy", f"--token={SECRET} with blanks, and = signs"], ["kube-proxy", f"--token={REDACTED}"]),
            (["kube-proxy", "--kubeconfig=/etc/x", f"--password={SECRET}"], ["kube-proxy", "--kubeconfig=/etc/x", f"--password={REDACTED}"]),
            (["kubelite", f"--etcd-s3-secret-key={SECRET}"], ["kubelite", f"--etcd-s3-secret-key={REDACTED}"]),
            (["kubelite", "--etcd-s3-access-key", SECRET], ["kubelite", "--etcd-s3-access-key", REDACTED]),
            (["k3s", f"--datastore-endpoint=mysql://root:{SECRET}@tcp(10.0.0.1)/k3s"], ["k3s", f"--datastore-endpoint={REDACTED}"]),
            (["k3s", f"--kube-proxy-arg=token={SECRET}"], ["k3s", f"--kube-proxy-arg=token={REDACTED}"]),
            (["kube-proxy", f"--master=https://admin:{SECRET}@10.0.0.1:6443"], ["kube-proxy", f"--master=https://{REDACTED}@10.0.0.1:6443"]),
            (["env", f"API_TOKEN={SECRET}", "kube-proxy"], ["env", f"API_TOKEN={REDACTED}", "kube-proxy"]),
            (["sh", "-c", f"exec kube-proxy --token {SECRET} --v=2"], ["sh", "-c", f"exec kube-proxy --token {REDACTED} --v=2"]),
            (["kube-proxy", f"--x={JWT}"], ["kube-proxy", f"--x={REDACTED}"]),
            (["k3s agent " + K3S_TOKEN], ["k3s agent " + REDACTED]),
        ],
    )
    def test_secrets_go(self, words, shown):
        assert redacted_words(words) == shown
        assert SECRET not in json.dumps(redacted_words(words))

    @pytest.mark.parametrize(
        "words",
        [
            ["/opt/kube/bin/kube-proxy", "--config=/var/lib/kube-proxy/kube-proxy-config.yaml", "--hostname-override=token-1"],
            ["kube-proxy", "--kubeconfig=/etc/kube/key.conf", "--proxy-mode=ipvs", "--ipvs-scheduler=rr", "--v", "2"],
            ["kubelite", "--token-auth-file", "/var/snap/x", "--tls-private-key-file=/etc/key.pem", "--token-ttl=24h"],
            ["kubelite", "--proxy-args-file", "/var/snap/microk8s/current/args/kube-proxy"],
            ["kube-proxy", "--token", "--proxy-mode=ipvs"],
            ["kube-proxy", "--master=https://10.0.0.1/a@b", "--cluster-cidr=fd00::/64"],
            ["docker", "run", "-u", "1000:1000", "--name", "kube-proxy"],
        ],
    )
    def test_other_words_stay(self, words):
        assert redacted_words(words) == words


class TestLines:
    @pytest.mark.parametrize(
        ("line", "shown"),
        [
            (f"curl -H 'Authorization: Bearer {SECRET}' https://x; sysctl -w {KEY}=0", f"curl -H 'Authorization: {REDACTED}' https://x; sysctl -w {KEY}=0"),
            (f"curl -u root:{SECRET} https://x && sysctl -w {KEY}=0", f"curl -u root:{REDACTED} https://x && sysctl -w {KEY}=0"),
            (f"wget https://bot:{SECRET}@git.example/x; sysctl -w {KEY}=0", f"wget https://{REDACTED}@git.example/x; sysctl -w {KEY}=0"),
            (f'DB_PASSWORD="{SECRET} and more" run; sysctl -w {KEY}=0', f"DB_PASSWORD={REDACTED} run; sysctl -w {KEY}=0"),
            (f"vault login --token '{SECRET}'; sysctl -w {KEY}=0", f"vault login --token {REDACTED}; sysctl -w {KEY}=0"),
            (f'echo {{"password": "{SECRET}"}} | x; sysctl -w {KEY}=0', f'echo {{"password": {REDACTED}}} | x; sysctl -w {KEY}=0'),
            (f"report bearer {SECRET}0123456789", f"report bearer {REDACTED}"),
        ],
    )
    def test_secrets_go(self, line, shown):
        assert redacted(line) == shown

    @pytest.mark.parametrize(
        "line",
        [
            f"ExecStartPost=/sbin/sysctl -w {KEY}=0",
            f"{KEY} = 0  # see the token bucket of ticket 12",
            f"curl -H \"Authorization-Mode: none\" https://example.org/a?b=c && echo 0 > /proc/sys/{KEY.replace('.', '/')}",
            f"TOKEN=$(cat /etc/token) PASSWORD=\"$SECRET\" x; sysctl -w {KEY}=1",
            f"sudo -u root sysctl -w {KEY}=1",
            None,
        ],
    )
    def test_other_lines_stay(self, line):
        assert redacted(line) == line

    @pytest.mark.parametrize("part", ["://a:", "token", "-u a:", "a.", "password=", "eyJ", "Authorization: ", "--token ", "bearer ", "token  :"])
    def test_a_hostile_line_takes_no_time(self, part):
        began = time.monotonic()
        redacted(part * 50000)
        redacted_words([part * 50000] * 2)
        assert time.monotonic() - began < 5


class TestFacts:
    unit = {
        "/etc/rancher/k3s/config.yaml": "node-name: a\n",
        "/etc/systemd/system/k3s-agent.service": (
            "[Service]\n"
            f"ExecStart=/usr/local/bin/k3s agent --token {SECRET} --kube-proxy-arg=proxy-mode=ipvs\n"
            f"ExecStartPost=/usr/bin/curl -u bot:{SECRET} https://example.org/started\n"
        ),
        WANTED + "k3s-agent.service": ("link", "/etc/systemd/system/k3s-agent.service"),
    }
    running = process(900, "k3s", ["/usr/local/bin/k3s", "agent", "--token", SECRET], "0::/system.slice/k3s-agent.service", 4250)

    def _node(self, tree, *parts):
        files = first_process()
        for part in parts:
            files.update(part)
        return tree(files)

    def test_kube_proxy(self, tree):
        node = self._node(tree, self.unit, self.running)
        facts = read_kube_proxy(node, Units(node))
        # What decides has been read of the words themselves.
        assert (facts["form"], facts["mode_configured"], facts["unit"]) == ("k3s", "ipvs", "k3s-agent.service")
        assert facts["argv"] == ["/usr/local/bin/k3s", "agent", "--token", REDACTED]
        assert facts["unit_exec_start_post"] == [f"/usr/bin/curl -u bot:{REDACTED} https://example.org/started"]
        assert SECRET not in json.dumps(facts)

    def test_where_the_mode_is_set(self, tree):
        node = self._node(tree, self.unit, self.running)
        units = Units(node)
        found = find_mode(node, units, read_kube_proxy(node, units), "iptables")
        assert found["refused"] == []
        assert SECRET not in json.dumps(found["where"])
        # The line itself is what is looked for in the file.
        assert SECRET in json.dumps(found["files"])

    def test_writers_and_guards_and_no_edit_of_such_a_line(self, tree):
        line = f"* * * * * root curl -u bot:{SECRET} https://x; sysctl -w {KEY}=0"
        node = self._node(tree, {"/etc/cron.d/x": line + "\n", "/var/lib/kube-proxy/config.conf": CONFIG_IPVS})
        found = read_writers(node, {"ip_vs": "loaded", "ip_vs_loaded_at_boot": []}, Units(node), {})
        assert [(entry["kind"], entry["value"], entry["text"]) for entry in found] == [("cron", 0, line.replace(SECRET, REDACTED))]
        hold = read_hold(node, {}, found, None)
        assert SECRET not in json.dumps([found, hold])
        edits, left = neutralise(read({"writers": found, "hold": hold}), 1)
        assert edits == []
        assert [(entry.path, entry.reason) for entry in left] == [("/etc/cron.d/x", "its line holds a secret, which the facts leave out")]
