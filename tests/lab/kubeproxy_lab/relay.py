# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""relay.py ADDRESS PORT: what ssh uses as ProxyCommand in the lab's network: standard input and output, to and from a TCP connection."""

import os
import selectors
import socket
import sys


def main():
    """Until the other side closes."""
    try:
        connection = socket.create_connection((sys.argv[1], int(sys.argv[2])), 10)
    except OSError as error:
        sys.exit(f"{sys.argv[1]} port {sys.argv[2]}: {error}")
    connection.settimeout(None)
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    selector.register(connection, selectors.EVENT_READ)
    while True:
        for ready, _events in selector.select():
            if ready.fileobj is connection:
                data = connection.recv(65536)
                if not data:
                    return
                while data:
                    data = data[os.write(1, data):]
            else:
                data = os.read(0, 65536)
                if data:
                    connection.sendall(data)
                else:
                    selector.unregister(0)
                    connection.shutdown(socket.SHUT_WR)


main()
