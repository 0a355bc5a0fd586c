# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""A backend of a Service: tells its name on port 8080, by TCP and UDP.

A client that sends "hold" keeps its connection until it closes it; for every other one the server closes first, so that the
connection's entry in IPVS ends in TIME_WAIT and the client may use its port again at once. Python 2.7 and 3.
"""

from __future__ import absolute_import, division, print_function

import socket
import sys
import threading

PORT = 8080


def answer(connection, name):
    """Serve one TCP connection."""
    try:
        request = connection.recv(64)
        connection.sendall(name)
        if request.startswith(b"hold"):
            while connection.recv(4096):
                pass
    except socket.error:
        pass
    finally:
        connection.close()


def answer_datagrams(name):
    """Serve UDP."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("0.0.0.0", PORT))
    while True:
        client = server.recvfrom(64)[1]
        server.sendto(name, client)


def start(function, *arguments):
    """Run a function in a thread that does not outlive the program."""
    thread = threading.Thread(target=function, args=arguments)
    thread.daemon = True
    thread.start()


def main():
    """backend.py NAME"""
    name = sys.argv[1].encode("ascii")
    start(answer_datagrams, name)
    server = socket.socket()
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("0.0.0.0", PORT))
    server.listen(256)
    while True:
        start(answer, server.accept()[0], name)


main()
