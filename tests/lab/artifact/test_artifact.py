# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The artifact alone, as ansible-galaxy builds and installs it, with nothing else in the home: its three playbooks on a node with a real kube-proxy."""

from __future__ import annotations

import json
import os
import pathlib
import subprocess
import sys

import pytest
from lab_tests import TESTS, Shell, connection, run_folder, start, wait_until

# kube-proxy sets 0 at each start, and the kernel has the fix: 1 is to be held.
NODE = "fixed-below-5-9"
VALUE = "cat /proc/sys/net/ipv4/vs/conn_reuse_mode"
# Everything that is there to configure what starts, and what a repair adds.
FILES = "find /etc/systemd /etc/sysctl.d /etc/sysctl.conf /etc/modules-load.d /etc/kubeproxy* /var/lib/kubeproxy* -type f 2>/dev/null | sort | xargs sha256sum"


class Home:
    """An empty home directory, and ansible-core in it without a setting."""

    def __init__(self, folder):
        self.path = folder / "home"
        self.path.mkdir()
        self._programs = pathlib.Path(sys.executable).parent

    def run(self, *words):
        """What a command printed; it must work."""
        surroundings = {"HOME": str(self.path), "PATH": f"{self._programs}:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
        done = subprocess.run(words, check=False, cwd=self.path, env=surroundings, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=900)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def play(self, playbook, *arguments):
        """Run a playbook of the collection against the node; the report that it wrote, None where it writes none."""
        report = self.path / "ipvs-report" / "report.json"
        report.unlink(missing_ok=True)
        self.run("ansible-playbook", f"kubeproxy.ipvs.{playbook}", "-i", connection()["inventory"], "--limit", NODE, *arguments)
        return json.loads(report.read_text(encoding="utf-8")) if report.exists() else None


@pytest.fixture(name="home")
def home_fixture(tmp_path):
    """A home with the collection in it, and nothing else."""
    home = Home(tmp_path)
    subprocess.run([TESTS / "copy", tmp_path / "source"], check=True)
    home.run("ansible-galaxy", "collection", "build", str(tmp_path / "source"), "--output-path", str(tmp_path))
    (artifact,) = tmp_path.glob("kubeproxy-ipvs-*.tar.gz")
    home.run("ansible-galaxy", "collection", "install", "--offline", str(artifact))
    return home


def test_the_three_playbooks(home):
    start(NODE)
    with run_folder("artifact") as folder:
        node = Shell(NODE, folder / "ssh")
        wait_until(lambda: node.attempt("systemctl is-active kube-proxy && ipvsadm -Ln | grep -q :443").returncode == 0, "kube-proxy")
        assert node.run(VALUE) == "0"
        before = node.run(FILES)

        (found,) = home.play("audit")["nodes"]
        assert (found["name"], found["verdict"], found["plan"]["action"], found["plan"]["value"]) == (NODE, "stale_backends", "hold", 1)
        assert node.run(FILES) == before

        assert home.play("remediate")["summary"]["remediation"]["changed"] == 1
        node.run("systemctl restart kube-proxy")
        wait_until(lambda: node.run(VALUE) == "1", "the value that is held", seconds=30)
        (found,) = home.play("audit")["nodes"]
        assert (found["verdict"], found["plan"]["action"]) == ("safe", "none")
        assert node.run(FILES) != before

        home.play("rollback")
        assert (node.run(VALUE), node.run(FILES)) == ("0", before)
    assert os.listdir(home.path / "ipvs-report")
