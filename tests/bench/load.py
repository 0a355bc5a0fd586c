# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""load.py ADDRESS PORT FIRST PORTS COUNT: COUNT connections, one after the other, each from the next of PORTS source ports from FIRST on.

A connection comes from a port again when all the others have had their turn, as from a busy client whose ports come round. Prints JSON:
seconds (of all of them), errors (the first ten). Runs on a node: Python 2.7 and 3.
"""

from __future__ import absolute_import, division, print_function

import json
import socket
import sys
import time

LIMIT = 5.0
try:
    clock = time.monotonic
except AttributeError:  # Python 2
    clock = time.time


def once(address, source_port):
    """One connection, which the server closes first: the port is free as soon as it has."""
    connection = socket.socket()
    connection.settimeout(LIMIT)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        connection.bind(("", source_port))
        connection.connect(address)
        connection.sendall(b"who")
        if not connection.recv(64):
            raise socket.error("closed without an answer")
        while connection.recv(64):
            pass
    finally:
        connection.close()


def main():
    """The command line."""
    host, port, first, ports, count = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5])
    errors = []
    began = clock()
    for number in range(count):
        try:
            once((host, port), first + number % ports)
        except (socket.error, socket.timeout) as error:
            errors.append(str(error))
    print(json.dumps({"seconds": clock() - began, "errors": errors[:10]}))


main()
