# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An audit over ssh against ping, and against what people do by hand.

Hosts are addresses of the loopback device, in mount, network and process namespaces of their own, behind one sshd of the lab's Debian root file system:
each has connections of its own, and their sessions are those of a Debian node without kube-proxy. All connections begin anew in each run.
"""

from __future__ import annotations

import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from comparison import REPEATS, Comparison, Row, in_turn, run, timed
from kubeproxy_lab import images
from kubeproxy_lab.namespaces import private

HOSTS = int(os.environ.get("HOSTS", "200"))
HOSTS_BY_HAND = min(HOSTS, 50)
PORT = 2222
BY_HAND = pathlib.Path(__file__).with_name("by_hand.yml")
SSHD = (
    f"Port {PORT}", "ListenAddress 0.0.0.0", "HostKey /run/host_key", "AuthorizedKeysFile /run/authorized_keys", "StrictModes no", "MaxStartups 1000",
    "UsePAM no",
)


def measure() -> list[Row]:
    """Rows 1 and 2."""
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:
        folder = pathlib.Path(name)
        result = folder / "result.json"
        run([*private("--net", "--mount-proc"), sys.executable, __file__, str(images.debian("3")), str(folder), str(result)])
        given = json.loads(result.read_text(encoding="utf-8"))
    cost, by_hand = Comparison(**given["ping"]), Comparison(**given["by_hand"])
    what = f"`kubeproxy.ipvs.audit`, {HOSTS} hosts over ssh on loopback, report included"
    hand = "gather_facts and nine tasks that read the same values (tests/bench/by_hand.yml)"
    return [
        Row("1", what, "`ansible -m ping` on the same hosts", "≤ 1.25 ×", cost.words(), cost.ratio <= 1.25),
        Row("2", f"the same, {HOSTS_BY_HAND} hosts", hand, "≤ 0.2 ×", by_hand.words(), by_hand.ratio <= 0.2),
    ]


def _start_sshd(root: pathlib.Path, folder: pathlib.Path) -> subprocess.Popen:
    """A tree of its own over the root file system, and sshd in it."""
    tree = folder / "root"
    for part in ("root", "upper", "work"):
        (folder / part).mkdir()
    run(["mount", "-t", "tmpfs", "tmpfs", str(folder / "upper")])
    for part in ("changed", "work"):
        (folder / "upper" / part).mkdir()
    run(["mount", "-t", "overlay", "overlay", "-o", f"lowerdir={root},upperdir={folder}/upper/changed,workdir={folder}/upper/work", str(tree)])
    for kind, target in (("proc", "proc"), ("tmpfs", "run"), ("tmpfs", "tmp")):
        run(["mount", "-t", kind, kind, str(tree / target)])
    run(["mount", "--rbind", "/dev", str(tree / "dev")])
    for key in ("host_key", "user_key"):
        run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(folder / key)])
    shutil.copy(folder / "host_key", tree / "run/host_key")
    shutil.copy(folder / "user_key.pub", tree / "run/authorized_keys")
    (tree / "run/sshd").mkdir()
    (tree / "run/sshd_config").write_text("\n".join(SSHD) + "\n", encoding="ascii")
    return subprocess.Popen(["chroot", str(tree), "/usr/sbin/sshd", "-D", "-e", "-f", "/run/sshd_config"], stderr=subprocess.DEVNULL)


class Hosts:
    """Ansible against the first COUNT hosts."""

    def __init__(self, folder: pathlib.Path, count: int):
        self._folder = folder
        names = {f"host-{number:03d}": {"ansible_host": f"127.1.{number // 250}.{number % 250 + 1}"} for number in range(count)}
        options = f"-i {folder}/user_key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        settings = {"ansible_user": "root", "ansible_port": PORT, "ansible_ssh_common_args": options, "ansible_python_interpreter": "/usr/bin/python3"}
        self._inventory = folder / f"hosts-{count}.json"
        self._inventory.write_text(json.dumps({"all": {"hosts": names, "vars": settings}}), encoding="utf-8")

    def seconds(self, *words: str) -> float:
        """What a command takes whose connections are all new ones."""
        # A folder of its own for each: ssh removes its sockets some time after it has said so.
        control = pathlib.Path(tempfile.mkdtemp(dir=self._folder))
        environment = {**os.environ, "ANSIBLE_SSH_CONTROL_PATH_DIR": str(control), "ANSIBLE_SSH_PIPELINING": "true"}
        taken = timed(lambda: run([*words, "-i", str(self._inventory)], env=environment, cwd=self._folder))
        for socket in control.iterdir():
            subprocess.run(["ssh", "-O", "exit", "-o", f"ControlPath={socket}", "any"], check=False, capture_output=True)
        return taken

    def ping(self) -> float:
        """`ansible -m ping`."""
        return self.seconds("ansible", "all", "-m", "ansible.builtin.ping")

    def audit(self) -> float:
        """The audit, with its report."""
        return self.seconds("ansible-playbook", "kubeproxy.ipvs.audit")

    def by_hand(self) -> float:
        """What people do without this collection."""
        return self.seconds("ansible-playbook", str(BY_HAND))


def _inside(root: str, folder: str, result: str) -> None:
    """In namespaces of its own."""
    place = pathlib.Path(folder)
    run(["ip", "link", "set", "lo", "up"])
    sshd = _start_sshd(pathlib.Path(root), place)
    time.sleep(1)
    all_hosts, some = Hosts(place, HOSTS), Hosts(place, HOSTS_BY_HAND)
    some.ping()
    audits, pings = in_turn(all_hosts.audit, all_hosts.ping, repeats=REPEATS)
    short, long = in_turn(some.audit, some.by_hand, repeats=REPEATS)
    sshd.terminate()
    figures = {
        "ping": {"measured": statistics.median(audits), "baseline": statistics.median(pings)},
        "by_hand": {"measured": statistics.median(short), "baseline": statistics.median(long)},
    }
    pathlib.Path(result).write_text(json.dumps(figures), encoding="utf-8")


if __name__ == "__main__":
    _inside(*sys.argv[1:])
