# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands of tests/lab/lab."""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import subprocess
import sys

from kubeproxy_lab import control_plane, kernels, lab, nodes, one_command
from kubeproxy_lab.storage import LabError, Missing


def up(options) -> int:
    """lab up"""
    lab.up(options.nodes)
    return status(options)


def down(options) -> int:
    """lab down"""
    lab.down(options.nodes)
    return 0


def prune(_options) -> int:
    """lab prune"""
    print(f"{lab.prune() / (1 << 30):.1f} GiB freed")
    return 0


def status(_options) -> int:
    """lab status"""
    keeper = lab.running()
    keeper.enter_network()
    for node in nodes.declared().values():
        place = lab.folder() / "nodes" / node.name
        state = "down"
        if nodes.alive(place):
            state = "up" if nodes.answers(node) else "starting"
        kube_proxy = f"kube-proxy {node.kube_proxy.version}, {node.kube_proxy.mode}, {node.kube_proxy.form}" if node.kube_proxy else "no kube-proxy"
        print(f"{node.name:20} {state:9} {node.address:12} {node.kernel.name}, {kube_proxy}")
    print(f"connect: ssh -F {lab.folder() / 'ssh_config'} NODE    ansible -i {lab.folder() / 'inventory.yml'} all -m ping")
    return 0


def check(_options) -> int:
    """lab check"""
    lab.check_machine()
    return 0


def connection(_options) -> int:
    """lab connection"""
    lab.running()
    print(json.dumps(lab.connection()))
    return 0


def ssh(options) -> int:
    """lab ssh"""
    lab.running()
    os.execvp("ssh", ["ssh", "-F", str(lab.folder() / "ssh_config"), options.node, *options.words])


def stop(options) -> int:
    """lab stop"""
    node, place = lab.node_folder(options.node)
    nodes.stop(place)
    print(f"{node.name} is down")
    return 0


def api(options) -> int:
    """lab api"""
    lab.running().enter_network()
    body = None if sys.stdin.isatty() or options.method in ("GET", "DELETE") else json.load(sys.stdin)
    print(json.dumps(control_plane.request(options.method, options.path, body, options.kind), indent=2))
    return 0


def service(options) -> int:
    """lab service"""
    lab.running().enter_network()
    control_plane.add_service(options.name, options.address, options.backends)
    return 0


def inside(options) -> int:
    """lab inside"""
    lab.running().enter_network()
    try:
        return subprocess.run(options.words, check=False).returncode
    except OSError as error:
        raise LabError(f"{' '.join(options.words) or 'no command'}: {error.strerror}") from error


def run(options) -> int:
    """lab run"""
    lab.check_machine()
    return one_command.run(options.kernel, [options.folder, *options.share], options.words, options.seconds)


def list_kernels(options) -> int:
    """lab kernels"""
    lab.check_machine()
    for name, kernel in kernels.declared().items():
        try:
            kernels.provide(kernel)
            print(f"{name}\tavailable")
        except Missing as error:
            print(f"{name}\tmissing: {error}")
    return 0


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="lab", description="Nodes with real IPVS kernels and a real kube-proxy on this machine.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    command = commands.add_parser("up", help="start nodes and their control plane; what runs already is left as it is")
    command.add_argument("nodes", nargs="*", metavar="NODE", help="a name of nodes.yml; all of them if none is given")
    command.set_defaults(function=up)
    command = commands.add_parser("down", help="end nodes and remove their disks; with the last one the lab ends")
    command.add_argument("nodes", nargs="*", metavar="NODE", help="a name of nodes.yml; all of them if none is given")
    command.set_defaults(function=down)
    command = commands.add_parser("prune", help="remove from the cache what the nodes do not need to run: older recipes, sources, compilers")
    command.set_defaults(function=prune)
    command = commands.add_parser("status", help="which nodes are up, and how they are reached")
    command.set_defaults(function=status)
    command = commands.add_parser("check", help="whether this machine can run a lab; a sentence if it cannot")
    command.set_defaults(function=check)
    command = commands.add_parser("connection", help="the files by which ssh, Ansible and clients of the API reach the lab, as JSON")
    command.set_defaults(function=connection)
    command = commands.add_parser("ssh", help="a shell on a node, or a command there")
    command.add_argument("node", metavar="NODE")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    command.set_defaults(function=ssh)
    command = commands.add_parser("stop", help="take the power from a node; `lab up NODE` starts it again with its disk")
    command.add_argument("node", metavar="NODE")
    command.set_defaults(function=stop)
    command = commands.add_parser("api", help="ask the API server; the body of the request is read from standard input")
    command.add_argument("method", choices=("GET", "POST", "PUT", "PATCH", "DELETE"))
    command.add_argument("path", help="such as /api/v1/nodes")
    command.add_argument("--kind", default="application/json", help="of the body (default: application/json)")
    command.set_defaults(function=api)
    command = commands.add_parser("service", help="make a Service on port 80 with backends that every node has")
    command.add_argument("name")
    command.add_argument("address", help="its ClusterIP, such as 10.96.0.60")
    command.add_argument("backends", nargs="*", default=["10.244.1.2", "10.244.2.2"], help="their addresses (default: the first two pods of a node)")
    command.set_defaults(function=service)
    command = commands.add_parser("inside", help="run a command of this machine in the lab's network")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND")
    command.set_defaults(function=inside)
    command = commands.add_parser("run", help="run one command on a kernel that is thrown away afterwards")
    command.add_argument("kernel", help="a name of kernels.yml")
    command.add_argument("folder", type=pathlib.Path, help="a folder of this machine that the kernel sees, read-only, at the same path")
    command.add_argument("words", nargs=argparse.REMAINDER, metavar="COMMAND", help="the command and its arguments")
    command.add_argument("--share", type=pathlib.Path, action="append", default=[], metavar="FOLDER", help="another such folder")
    command.add_argument("--seconds", type=int, default=600, help="after which it is ended (default: 600)")
    command.set_defaults(function=run)
    command = commands.add_parser("kernels", help="provide the kernels; a line each, with what is missing")
    command.set_defaults(function=list_kernels)
    return parser


def main() -> int:
    """The exit status."""
    options = _arguments().parse_args()
    try:
        return options.function(options)
    except LabError as error:
        print(f"lab: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1
    except KeyboardInterrupt:
        return 130


sys.exit(main())
