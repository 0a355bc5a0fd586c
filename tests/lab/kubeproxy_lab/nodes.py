# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nodes that nodes.yml declares: what each of them is made of, and how it is started."""

from __future__ import annotations

import dataclasses
import pathlib
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable

import yaml

from kubeproxy_lab import control_plane, images, kernels, kubernetes
from kubeproxy_lab.keeper import BRIDGE, GATEWAY, Keeper
from kubeproxy_lab.namespaces import kill_all, processes
from kubeproxy_lab.storage import LabError, Missing, remove, run, say
from kubeproxy_lab.uml import Seed, command

HERE = pathlib.Path(__file__).parent.parent
FIRST_ADDRESS = 11
MEMORY = 640
MODES = ("ipvs", "iptables")
FORMS = ("systemd",)
HEALTH_PORT = 10256
BOOT_SECONDS = 120

CONFIGURATION = """\
kind: KubeProxyConfiguration
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  kubeconfig: "/etc/kubernetes/kube-proxy.kubeconfig"
# On this, kube-proxy judges which traffic comes from inside of the cluster
clusterCIDR: "{pods}"
conntrack:
  maxPerCore: 32768
  min: 131072
  tcpCloseWaitTimeout: 1h0m0s
  tcpEstablishedTimeout: 24h0m0s
healthzBindAddress: 0.0.0.0:{health}
hostnameOverride: "{name}"
metricsBindAddress: 0.0.0.0:10249
mode: "{mode}"
"""


@dataclasses.dataclass(frozen=True)
class KubeProxy:
    """The kube-proxy of a node."""

    version: str
    mode: str
    form: str


@dataclasses.dataclass(frozen=True)
class Node:
    """A node as nodes.yml declares it, with the address that it always has."""

    name: str
    number: int
    kernel: kernels.Kernel
    python: str
    kube_proxy: KubeProxy | None
    memory: int

    @property
    def address(self) -> str:
        """Its address in the lab's network."""
        return GATEWAY.rpartition(".")[0] + f".{self.number}"

    @property
    def tap(self) -> str:
        """Its end in the lab's network."""
        return f"tap{self.number}"

    @property
    def interpreter(self) -> str:
        """Its Python."""
        return "/usr/bin/" + images.PYTHONS[self.python][2]


def declared() -> dict[str, Node]:
    """The nodes of nodes.yml."""
    with open(HERE / "nodes.yml", encoding="utf-8") as handle:
        rows = yaml.safe_load(handle)
    known = kernels.declared()
    return {name: _node(name, number, row, known) for number, (name, row) in enumerate(rows.items(), FIRST_ADDRESS)}


def _node(name: str, number: int, row: dict, known: dict[str, kernels.Kernel]) -> Node:
    unknown = set(row) - {"kernel", "python", "kube_proxy", "memory"}
    if unknown:
        raise LabError(f"nodes.yml: {name} has {', '.join(sorted(unknown))}, which is not known")
    if row.get("kernel") not in known:
        raise LabError(f"nodes.yml: {name} has the kernel {row.get('kernel')}; kernels.yml has {', '.join(known)}")
    if row.get("python") not in images.PYTHONS:
        raise LabError(f"nodes.yml: {name} has Python {row.get('python')!r}; there is {', '.join(images.PYTHONS)}")
    try:
        kube_proxy = KubeProxy(**row["kube_proxy"]) if row.get("kube_proxy") else None
    except TypeError as error:
        raise LabError(f"nodes.yml: kube_proxy of {name} needs version, mode and form, and nothing else") from error
    if kube_proxy and (kube_proxy.mode not in MODES or kube_proxy.form not in FORMS):
        raise LabError(f"nodes.yml: kube_proxy of {name} needs a mode of {', '.join(MODES)} and a form of {', '.join(FORMS)}")
    return Node(name, number, known[row["kernel"]], row["python"], kube_proxy, row.get("memory", MEMORY))


def provide(node: Node) -> Node | None:
    """Have everything that a node is made of in the cache. What Debian no longer serves changes the node (its Python) or leaves it
    out (its kernel), and is said."""
    try:
        kernels.provide(node.kernel)
    except Missing as error:
        say(f"SKIPPED: the node {node.name}: {error}")
        return None
    if node.kube_proxy:
        kubernetes.provide("kube-proxy", node.kube_proxy.version)
    try:
        images.provide(node.python)
    except Missing as error:
        say(f"SKIPPED: Python {node.python} on the node {node.name}, which gets Python 3: {error}")
        node = dataclasses.replace(node, python="3")
        images.provide(node.python)
    return node


def _seed(node: Node, folder: pathlib.Path, identity: pathlib.Path) -> None:
    with Seed(folder / "seed.tar") as seed:
        seed.modules(kernels.provide(node.kernel))
        seed.text("etc/hostname", node.name + "\n")
        seed.text("etc/hosts", f"127.0.0.1 localhost\n{node.address} {node.name}\n")
        seed.text("etc/lab/address", f"ADDRESS={node.address}\nGATEWAY={GATEWAY}\n")
        seed.text("root/.ssh/authorized_keys", (identity / "user.pub").read_text(encoding="ascii"), 0o600)
        seed.text("etc/ssh/ssh_host_ed25519_key", (identity / "host").read_text(encoding="ascii"), 0o600)
        if not node.kube_proxy:
            return
        seed.copy("opt/kube/bin/kube-proxy", kubernetes.provide("kube-proxy", node.kube_proxy.version))
        seed.text("etc/kubernetes/kube-proxy.kubeconfig", control_plane.KUBECONFIG, 0o600)
        configuration = CONFIGURATION.format(pods=control_plane.PODS, health=HEALTH_PORT, name=node.name, mode=node.kube_proxy.mode)
        seed.text("var/lib/kube-proxy/kube-proxy-config.yaml", configuration)
        seed.copy("etc/systemd/system/kube-proxy.service", images.FILES / "kube-proxy.service")
        seed.link("etc/systemd/system/multi-user.target.wants/kube-proxy.service", "/etc/systemd/system/kube-proxy.service")


def as_made(node: Node, folder: pathlib.Path) -> Node | None:
    """The node as it was made in FOLDER, with the Python that it really got; None if it was not."""
    try:
        return dataclasses.replace(node, python=(folder / "made").read_text(encoding="utf-8").split("\n")[0])
    except OSError:
        return None


def _mine(folder: pathlib.Path) -> Callable[[list[str]], bool]:
    """Whether a command line is that of the kernel whose disk is in FOLDER, or of its helpers, which keep the disk locked."""
    disk = f"ubd0={folder / 'disk'},"
    return lambda words: any(word.startswith(disk) for word in words[:3])


def alive(folder: pathlib.Path) -> bool:
    """Whether the kernel of the node in FOLDER runs."""
    return bool(processes(_mine(folder)))


def stop(folder: pathlib.Path) -> None:
    """Take the power from a node; its disk stays."""
    kill_all(_mine(folder))


def start(keeper: Keeper, node: Node, folder: pathlib.Path, identity: pathlib.Path) -> None:
    """Start a node: with the disk that it has, or for the first time."""
    made = f"{node.python}\n{images.provide(node.python)}\n"
    marker = folder / "made"
    # What a node wrote is kept as the difference to its image: it is worth nothing with another one.
    if not marker.exists() or marker.read_text(encoding="utf-8") != made:
        remove(folder)
        folder.mkdir(parents=True)
        _seed(node, folder, identity)
        marker.write_text(made, encoding="utf-8")
    remove(folder / "uml")
    # One that is there already, of a node whose power was taken, is used again.
    subprocess.run(["ip", "tuntap", "add", "dev", node.tap, "mode", "tap"], stderr=subprocess.DEVNULL, check=False)
    run(["ip", "link", "set", node.tap, "master", BRIDGE, "up"], f"connecting {node.name}")
    words = command(
        kernels.provide(node.kernel), images.provide(node.python), folder, memory=node.memory, init="/usr/local/sbin/lab-init",
        more=(f"eth0=tuntap,{node.tap},02:00:00:00:00:{node.number:02x}",))
    keeper.start(words, folder / "console")


def answers(node: Node) -> bool:
    """Whether its ssh answers, and its kube-proxy is in order."""
    try:
        with socket.create_connection((node.address, 22), 2) as connection:
            connection.settimeout(2)
            if not connection.recv(4).startswith(b"SSH-"):
                return False
        if node.kube_proxy:
            opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
            opener.open(f"http://{node.address}:{HEALTH_PORT}/healthz", timeout=2).close()
    except (OSError, urllib.error.URLError):
        return False
    return True


def wait(waiting: list[tuple[Node, pathlib.Path]]) -> None:
    """Until all of these nodes answer."""
    deadline = time.monotonic() + BOOT_SECONDS
    while waiting:
        waiting = [(node, folder) for node, folder in waiting if not answers(node)]
        for node, folder in waiting:
            ended = not alive(folder)
            if ended or time.monotonic() > deadline:
                tail = (folder / "console").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-15:]
                what = "ended" if ended else f"does not answer after {BOOT_SECONDS} s"
                raise LabError(f"the node {node.name} {what}; its console says:\n" + "\n".join(tail))
        time.sleep(0.3)
