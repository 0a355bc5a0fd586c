# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inside the kernel: make connections through IPVS, let the module read, print what it read."""

from __future__ import annotations

import ctypes
import json
import socket
import subprocess
import threading

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.modules.ipvs_facts import collect

CLONE_NEWNET = 0x40000000


def serve(server):
    """Answer every connection and close it first, so that IPVS keeps it in TIME_WAIT."""
    while True:
        client = server.accept()[0]
        client.sendall(b"x")
        client.close()


def main():
    """Print the facts before and after the value was changed, one JSON document a line."""
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("127.0.0.1", 6443))
    server.listen(50)
    threading.Thread(target=serve, args=(server,), daemon=True).start()
    for _number in range(20):
        client = socket.create_connection(("10.96.0.1", 443), 5)
        client.recv(1)
        client.close()
    subprocess.run(["ipvsadm", "-e", "-t", "10.96.0.1:443", "-r", "127.0.0.1:6443", "-m", "-w", "0"], check=True)
    print("FACTS " + json.dumps(collect(NodeFiles("/"))), flush=True)
    with open("/proc/sys/net/ipv4/vs/conn_reuse_mode", "w", encoding="ascii") as handle:
        handle.write("0\n")
    # Another network namespace has values of its own: the module still has to read those of the first process.
    ctypes.CDLL(None).unshare(CLONE_NEWNET)
    print("FACTS " + json.dumps(collect(NodeFiles("/"))), flush=True)


main()
