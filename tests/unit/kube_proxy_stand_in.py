# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A process that looks like kube-proxy, what starts it again when it ends, and a node on which both are.

The processes, their listeners and the signals they get are real. Only where the node's files say how it is run are they made up.
"""

from __future__ import annotations

import json
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time

from node_trees import API_UID, pod_cgroup

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles

UNIT = "kube-proxy.service"
VERSION = "1.20.2"
# On a slow machine.
START_SECONDS = 20
# Runs as `kube-proxy SCRIPT BEHAVIOUR --config=FILE`.
PROCESS = r"""
import ctypes, json, os, select, signal, socket, sys, time
told = json.loads(sys.argv[1])
ctypes.CDLL(None).prctl(15, b"kube-proxy", 0, 0, 0)
began = time.monotonic()
if told.get("deaf"):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if told.get("writes") is not None:
    with open(told["value_path"] + ".new", "w") as handle:
        handle.write("%d\n" % told["writes"])
    os.replace(handle.name, told["value_path"])
def listen(port):
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", port))
    server.listen(16)
    return server
servers = [listen(port) for port in told["ports"]]
while told.get("lives") is None or time.monotonic() - began < told["lives"]:
    for server in select.select(servers, [], [], 0.02)[0]:
        client = server.accept()[0]
        path = (client.recv(4096).split() + [b"", b""])[1].decode()
        late = time.monotonic() - began < told.get("healthy_after", 0)
        status, body = {
            "/healthz": (503 if late else told.get("status", 200), "ok"),
            "/proxyMode": (200, told.get("mode", "ipvs")),
            "/metrics": (200, 'kubernetes_build_info{git_version="v%s"} 1\n' % told["version"]),
        }.get(path, (404, ""))
        try:
            client.sendall(("HTTP/1.0 %d X\r\n\r\n%s" % (status, body)).encode())
        except OSError:
            pass
        client.close()
sys.exit(255)
"""
SYSTEMCTL = """#!%s -IS
import json, socket, sys
server = socket.socket(socket.AF_UNIX)
server.connect(%r)
server.sendall(json.dumps(sys.argv[1:]).encode() + b"\\n")
status, output = json.loads(server.makefile().readline())
print(output)
sys.exit(status)
"""


def free_ports(count):
    """That many ports of 127.0.0.1 on which nobody listens."""
    servers = [socket.create_server(("127.0.0.1", 0)) for dummy in range(count)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


class Manager:
    """Starts the process, again whenever it ends, and does what its `systemctl` is told.

    behaviours: of the starts one after the other, the last for all that follow; None is no start. Keys are those of the process:
    lives, status, healthy_after, mode, writes, ports, deaf (to SIGTERM). post_seconds: how long a restart takes besides. refuses: what
    systemctl says. on_restart: called when the new process has been started. status: of systemctl.
    """

    def __init__(self, directory, ports):
        self.directory, self.ports = directory, ports
        self.behaviours, self.post_seconds, self.refuses, self.restart_seconds = [{}], 0, None, 0.05
        self.on_restart, self.status = lambda: None, 0
        self.process = None
        self.commands = []
        self.pids = []
        self._lock = threading.RLock()
        self._ends = False
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(directory / "manager"))
        self._server.listen(8)
        (directory / "bin").mkdir()
        self.systemctl = directory / "bin/systemctl"
        self.systemctl.write_text(SYSTEMCTL % (sys.executable, str(directory / "manager")))
        self.systemctl.chmod(0o755)
        (directory / "kube-proxy.py").write_text(PROCESS)
        self._threads = [threading.Thread(target=target, daemon=True) for target in (self._serve, self._supervise)]

    def start(self):
        """Start the process for the first time, and wait until it is named as it is to be, and listens."""
        self._spawn()
        self._wait_for_its_name()
        self.wait_until_it_listens()
        for thread in self._threads:
            thread.start()

    def _wait_for_its_name(self):
        end = time.monotonic() + START_SECONDS
        while self.process is not None and time.monotonic() < end:
            if pathlib.Path(f"/proc/{self.process.pid}/comm").read_text() == "kube-proxy\n":
                break
            time.sleep(0.02)

    def wait_until_it_listens(self):
        """As long as it may take on a slow machine."""
        end = time.monotonic() + START_SECONDS
        while self.process is not None and time.monotonic() < end:
            try:
                for port in self.ports:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)

    def _spawn(self):
        behaviour = self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]
        if behaviour is None:
            self.process = None
            return
        told = {"ports": self.ports, "value_path": str(self.directory / "value"), "version": VERSION} | behaviour
        self.process = subprocess.Popen(
            ["kube-proxy", str(self.directory / "kube-proxy.py"), json.dumps(told), f"--config={self.directory}/config.yaml"], executable=sys.executable
        )
        self.pids.append(self.process.pid)

    def _supervise(self):
        while not self._ends:
            time.sleep(0.02)
            with self._lock:
                ended = self.process is not None and self.process.poll() is not None
            if ended:
                time.sleep(self.restart_seconds)
                with self._lock:
                    if not self._ends and self.process is not None and self.process.poll() is not None:
                        self._spawn()

    def _restart(self):
        if self.refuses:
            return 1, self.refuses
        with self._lock:
            self._end_process()
            self._spawn()
        self.on_restart()
        time.sleep(self.post_seconds)
        return self.status, ""

    def _answer(self, client):
        words = json.loads(client.makefile().readline())
        self.commands.append(words)
        if "show" in words:
            state = "active" if self.process is not None else "failed"
            reply = 0, f"LoadState=loaded\nActiveState={state}\nSubState=auto-restart\nResult=exit-code\nExecMainStatus=255"
        else:
            reply = self._restart()
        try:
            client.sendall(json.dumps(reply).encode() + b"\n")
        except OSError:
            # Nobody waits for it any more.
            pass
        client.close()

    def _serve(self):
        while True:
            try:
                client = self._server.accept()[0]
            except OSError:
                return
            threading.Thread(target=self._answer, args=(client,), daemon=True).start()

    def _end_process(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def stop(self):
        """End all of it."""
        with self._lock:
            self._ends = True
            self._end_process()
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()


class Node(NodeFiles):
    """This machine, with the processes of a manager alone, in the control group of a unit or pod, and files of its own."""

    def __init__(self, manager, cgroup):
        super().__init__("/")
        self.manager, self.cgroup = manager, cgroup
        self.tree = manager.directory / "tree"

    def _resolve(self, path):
        if re.match(r"/proc/\d+/cgroup$", path):
            self._put("/cgroup", f"0::{self.cgroup}\n")
            path = "/cgroup"
        elif not path.startswith(("/etc/", "/run/", "/usr/", "/lib/", "/var/", "/proc/net/ip_vs")):
            return super()._resolve(path)
        return str(self.tree / path.lstrip("/"))

    def names(self, path):
        return ["1"] + [str(pid) for pid in self.manager.pids] if path == "/proc" else super().names(path)

    def _put(self, path, text):
        target = self.tree / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def put_value(self, value):
        """Change the value in one step, as the kernel does: a file that is just being written is empty for a moment."""
        new = self.manager.directory / "value.put"
        new.write_text(f"{value}\n")
        new.replace(self.manager.directory / "value")

    def value(self):
        """The value, as text."""
        return (self.manager.directory / "value").read_text().strip()

    def put_services(self, services):
        """Write an IPVS table of [(address, port, weight of its one backend)]."""
        lines = ["IP Virtual Server version 1.2.1 (size=4096)", "Prot LocalAddress:Port Scheduler Flags", "  -> RemoteAddress:Port Forward Weight"]
        for address, port, weight in services:
            lines += ["TCP  %s:%04X rr  " % (socket.inet_aton(address).hex().upper(), port), f"  -> 0AF40102:1F90      Masq    {weight}      0          0"]
        self._put("/proc/net/ip_vs", "\n".join(lines) + "\n")


def stand_in(directory: pathlib.Path, pod: bool = False, addresses: bool = True) -> Node:
    """A Node with a kube-proxy that is not started yet. addresses: whether it can be asked."""
    ports = free_ports(2) if addresses else []
    manager = Manager(directory, ports)
    (directory / "value").write_text("0\n")
    node = Node(manager, pod_cgroup(API_UID).split("::")[1] if pod else f"/system.slice/{UNIT}")
    node._put(f"/etc/systemd/system/{UNIT}", "[Service]\nExecStart=/opt/kube/bin/kube-proxy\n")
    config = "mode: ipvs\n"
    if addresses:
        config += f"healthzBindAddress: 127.0.0.1:{ports[0]}\nmetricsBindAddress: 127.0.0.1:{ports[1]}\n"
    (directory / "config.yaml").write_text(config)
    return node
