# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A running lab: one for each checkout, so that two of them do not meet."""

from __future__ import annotations

import hashlib
import os
import pathlib
import platform
import shutil
import sys

import yaml

from kubeproxy_lab import control_plane, extended_state, keeper as keepers, kernels, kubernetes, nodes
from kubeproxy_lab.storage import ARTIFACTS, CACHE, LabError, artifact, locked, only_naming, remove, run, say

HERE = pathlib.Path(__file__).resolve().parent.parent
NEEDED = {"ip": "iproute2", "ssh": "openssh-client", "ssh-keygen": "openssh-client", "mkfs.ext4": "e2fsprogs", "unshare": "util-linux", "nsenter": "util-linux"}
FREE_GIB = 12
CONTROL_PLANE_MIB = 500


def folder() -> pathlib.Path:
    """Where the lab of this checkout keeps what it runs on; $KUBEPROXY_LAB names another lab of the same checkout."""
    name = os.environ.get("KUBEPROXY_LAB", "")
    return CACHE / "running" / (hashlib.sha256(str(HERE).encode()).hexdigest()[:8] + (f"-{name}" if name else ""))


def check_machine() -> None:
    """A sentence for a machine that cannot run a lab."""
    if platform.machine() != "x86_64" or sys.platform != "linux":
        raise LabError(f"the lab needs Linux on x86_64, this is {sys.platform} on {platform.machine()}")
    if not shutil.which("apt-get"):
        raise LabError("the lab needs Debian: it takes its kernels and programs from Debian's packages, and there is no apt-get here")
    if os.geteuid() != 0:
        raise LabError("the lab needs root: it makes namespaces, network links and Debian root file systems")
    if not os.path.exists("/dev/net/tun"):
        raise LabError("the lab needs /dev/net/tun, the network of its nodes (`modprobe tun`, or give the container that device)")
    CACHE.mkdir(parents=True, exist_ok=True)
    if shutil.disk_usage(CACHE).free < FREE_GIB << 30 and not (CACHE / "artifacts").exists():
        raise LabError(f"the lab needs {FREE_GIB} GiB in {CACHE} for its first build, {shutil.disk_usage(CACHE).free >> 30} are free")
    missing = sorted({package for program, package in NEEDED.items() if not shutil.which(program)})
    if missing:
        say(f"installing {', '.join(missing)} with apt-get")
        run(["apt-get", "-q", "update"], "reading the package lists")
        install = ["apt-get", "-q", "-y", "--no-install-recommends", "install", *missing]
        run(install, f"installing {', '.join(missing)}", env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def _identity() -> pathlib.Path:
    """The keys by which a user knows the nodes and they know the user."""
    def make(place: pathlib.Path) -> None:
        for name in ("user", "host"):
            run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"kubeproxy.ipvs lab {name}", "-f", place / name], "making a key")
        (place / "known_hosts").write_text("lab " + (place / "host.pub").read_text(encoding="ascii"), encoding="ascii")
    return artifact("identity", "ed25519", make, "making the lab's keys")


def _choose(names: list[str]) -> list[nodes.Node]:
    declared = nodes.declared()
    unknown = [name for name in names if name not in declared]
    if unknown:
        raise LabError(f"nodes.yml has no {', '.join(unknown)}; it has {', '.join(declared)}")
    return [declared[name] for name in names or declared]


def build(names: list[str]) -> list[nodes.Node]:
    """Have everything in the cache that these nodes need; those that can be had."""
    chosen = [node for node in map(nodes.provide, _choose(names)) if node]
    extended_state.provide()
    kubernetes.etcd()
    kubernetes.provide("kube-apiserver")
    return chosen


def _write_connection(keeper: keepers.Keeper, place: pathlib.Path) -> None:
    """How ssh and Ansible reach the nodes."""
    identity = _identity()
    relay = pathlib.Path(__file__).with_name("relay.py")
    lines = [
        "# Written by `lab up`", "Host *", "  User root", f"  IdentityFile {identity / 'user'}", "  IdentitiesOnly yes", "  HostKeyAlias lab",
        f"  UserKnownHostsFile {identity / 'known_hosts'}", "  StrictHostKeyChecking yes", "  LogLevel ERROR",
        # A node whose power was taken says nothing any more.
        "  ServerAliveInterval 5", "  ServerAliveCountMax 3",
        f"  ProxyCommand nsenter --target {keeper.process} --net --pid {sys.executable} -I -S {relay} %h %p",
    ]
    made = [node for node in (nodes.as_made(node, place / "nodes" / node.name) for node in nodes.declared().values()) if node]
    for node in made:
        lines += [f"Host {node.name}", f"  HostName {node.address}"]
    (place / "ssh_config").write_text("\n".join(lines) + "\n", encoding="utf-8")
    hosts = {
        node.name: {
            "ansible_user": "root",
            # Ansible's own place for connections that it keeps tells nodes apart by their names alone, and another lab has nodes of the same.
            "ansible_ssh_common_args": f"-F {place / 'ssh_config'} -o ControlPath={place}/control-%n",
            "ansible_python_interpreter": node.interpreter,
        }
        for node in made
    }
    (place / "inventory.yml").write_text(yaml.safe_dump({"all": {"hosts": hosts}}), encoding="utf-8")


def _existing(place: pathlib.Path) -> keepers.Keeper | None:
    """The keeper of a lab that came up whole; one that was cut off in its beginnings is not used."""
    return keepers.find(place) if (place / "complete").exists() else None


def _check_memory(starting: list[nodes.Node]) -> None:
    """A sentence if these nodes and the control plane do not fit into the machine's memory."""
    lines = pathlib.Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = next((int(line.split()[1]) >> 10 for line in lines if line.startswith("MemAvailable:")), None)
    needed = sum(node.memory for node in starting) + CONTROL_PLANE_MIB
    if available is not None and starting and available < needed:
        raise LabError(f"these nodes need {needed} MiB of memory, {available} are available; `lab up NODE...` starts some of them")


def up(names: list[str]) -> None:
    """Start these nodes, or all; those that run already are left as they are."""
    check_machine()
    chosen = build(names)
    place = folder()
    with locked(place.with_name(place.name + ".lock")):
        starting = [node for node in chosen if not nodes.alive(place / "nodes" / node.name)]
        _check_memory(starting)
        keeper = _existing(place)
        fresh = keeper is None
        keeper = keeper or keepers.start(place)
        keeper.enter_network()
        if fresh:
            control_plane.start(keeper, place / "control-plane")
        identity = _identity()
        for node in chosen if fresh else starting:
            nodes.start(keeper, node, place / "nodes" / node.name, identity)
        control_plane.wait(place / "control-plane")
        (place / "complete").touch()
        for node in chosen:
            control_plane.add_node(node.name, node.address)
        _write_connection(keeper, place)
        nodes.wait([(node, place / "nodes" / node.name) for node in chosen])


def down(names: list[str]) -> None:
    """End these nodes and remove their disks; the lab as a whole if none are named or none are left."""
    place = folder()
    chosen = _choose(names)
    with locked(place.with_name(place.name + ".lock")):
        keeper = keepers.find(place)
        if keeper:
            for node in chosen:
                nodes.stop(place / "nodes" / node.name)
                remove(place / "nodes" / node.name)
            if any((place / "nodes").glob("*")):
                keeper.enter_network()
                _write_connection(keeper, place)
                return
        keepers.end(place)
        remove(place)


def prune() -> int:
    """Remove from the cache what the declared nodes and kernels do not need to run: older recipes, sources, compilers. Bytes freed."""
    check_machine()
    with only_naming() as wanted:
        build([])
        _identity()
        for kernel in kernels.declared().values():
            kernels.provide(kernel)
    unwanted = [path for path in ARTIFACTS.glob("*") if path not in wanted]
    unwanted += [path for name in ("apt", "work", "logs", "once", "locks") if (path := CACHE / name).exists()]
    before = shutil.disk_usage(CACHE).free
    for path in unwanted:
        remove(path)
    return shutil.disk_usage(CACHE).free - before


def running() -> keepers.Keeper:
    """The keeper of the running lab."""
    keeper = keepers.find(folder())
    if keeper is None:
        raise LabError("the lab is down; `lab up` starts it")
    return keeper


def connection() -> dict[str, str]:
    """The files by which others reach the running lab."""
    place = folder()
    files = {
        "ssh_config": place / "ssh_config", "inventory": place / "inventory.yml", "identity_file": _identity() / "user",
        "kubeconfig": place / "control-plane" / "kubeconfig",
    }
    return {name: str(path) for name, path in files.items()}


def node_folder(name: str) -> tuple[nodes.Node, pathlib.Path]:
    """A node that was started in the running lab."""
    (node,) = _choose([name])
    place = folder() / "nodes" / name
    if not place.exists():
        raise LabError(f"{name} has not been started; `lab up {name}` does that")
    return node, place
