# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""client.py ADDRESS PORT SOURCE_PORTS COUNT: connect again and again from each of some source ports, each time when the server has closed.

SOURCE_PORTS are numbers with commas between them. Prints JSON: for each source port a list with [seconds until the connection
stood, the backend's name or null, the error or null] of each connection. With "hold" instead of COUNT it makes one connection from
each port, prints the backends' names and keeps them until it is ended. Python 2.7 and 3.
"""

from __future__ import absolute_import, division, print_function

import errno
import json
import socket
import sys
import time

LIMIT = 5.0
try:
    clock = time.monotonic
except AttributeError:  # Python 2
    clock = time.time


def connect(address, port, source_port):
    """A connection from a fixed port, and how long it took to stand."""
    while True:
        connection = socket.socket()
        connection.settimeout(LIMIT)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        connection.bind(("", source_port))
        began = clock()
        try:
            connection.connect((address, port))
            return connection, clock() - began
        except socket.error as error:
            connection.close()
            # The last acknowledgement of the connection before is still under way.
            if error.errno != errno.EADDRNOTAVAIL:
                raise
            time.sleep(0.01)


def once(address, port, source_port):
    """[seconds, backend, error] of one connection that the server closes first."""
    began = clock()
    try:
        connection, seconds = connect(address, port, source_port)
    except (socket.error, socket.timeout) as error:
        return [round(clock() - began, 3), None, str(error)]
    try:
        connection.sendall(b"who")
        name = connection.recv(64)
        # The server closes first: its end of the stream has to be seen before the port is free for the next one.
        while connection.recv(64):
            pass
        return [round(seconds, 3), name.decode("ascii"), None]
    except (socket.error, socket.timeout) as error:
        return [round(seconds, 3), None, str(error)]
    finally:
        connection.close()


def main():
    """The command line."""
    address, port, source_ports = sys.argv[1], int(sys.argv[2]), [int(number) for number in sys.argv[3].split(",")]
    if sys.argv[4] == "hold":
        connections = [connect(address, port, source_port)[0] for source_port in source_ports]
        for connection in connections:
            connection.sendall(b"hold")
            print(connection.recv(64).decode("ascii"))
        sys.stdout.flush()
        while True:
            time.sleep(3600)
    print(json.dumps({source_port: [once(address, port, source_port) for number in range(int(sys.argv[4]))] for source_port in source_ports}))


main()
