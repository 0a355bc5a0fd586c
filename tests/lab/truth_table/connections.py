# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The backends, and many connections of clients at once, each from a fixed port. Python 2.7 and 3.

A client asks with one byte how its connection shall end: see ENDINGS. Everything is non-blocking: whatever is delayed is waited for at the
same time, and a connection that stands at once is noticed at once.
"""

from __future__ import absolute_import, division, print_function

import errno
import select
import socket
import struct
import threading
import time

# After this nothing is expected any more: SYNs are sent again after 1 and after 3 seconds.
LIMIT = 3.5
# A datagram is sent again, as the SYN of a connection is, after this time.
AGAIN = 1.0
TCP_REPAIR = 19
FAMILIES = {4: socket.AF_INET, 6: socket.AF_INET6}
# Any POLLERR or POLLHUP is reported as well.
WRITABLE, READABLE = select.POLLOUT, select.POLLIN
WAIT = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS)

# The state of the entry in IPVS -> the byte that a client sends for a connection that shall end in it:
#   the backend closes, then the client; both vanish without a word; the backend closes, then both vanish; the backend resets it.
ENDINGS = {"TIME_WAIT": b"c", "ESTABLISHED": b"h", "FIN_WAIT": b"f", "CLOSE": b"r"}

try:
    clock = time.monotonic
except AttributeError:  # Python 2
    clock = time.time


def vanish(connection):
    """Close a connection without a packet: a socket under repair says nothing when it is closed."""
    connection.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    connection.close()


def reset(connection):
    """Close a connection with RST."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


class Backends(object):
    """A thread that answers for all backends: with the last number of the address that was asked."""

    def __init__(self, port, udp_addresses):
        self.poller = select.poll()
        self.sockets = {}
        self.held = []
        # Also for IPv4, whose addresses then look like ::ffff:10.0.2.11.
        self.listener = socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.listener.bind(("::", port))
        self.listener.listen(1024)
        self._add(self.listener)
        for text in udp_addresses:
            # The answer has to come from the address that was asked, so that each has a socket.
            datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            datagrams.bind((text, port))
            self._add(datagrams)
        thread = threading.Thread(target=self._serve)
        thread.daemon = True
        thread.start()

    def _add(self, new):
        new.setblocking(False)
        self.sockets[new.fileno()] = new
        self.poller.register(new, READABLE)

    def _serve(self):
        while True:
            for number, _event in self.poller.poll():
                ready = self.sockets[number]
                if ready is self.listener:
                    self._add(ready.accept()[0])
                elif ready.type & socket.SOCK_DGRAM:
                    client = ready.recvfrom(16)[1]
                    ready.sendto(last_number(ready), client)
                else:
                    self._answer(ready)

    def _answer(self, connection):
        self.poller.unregister(connection)
        del self.sockets[connection.fileno()]
        try:
            asked = connection.recv(1)
            connection.sendall(last_number(connection))
            if asked == ENDINGS["FIN_WAIT"]:
                connection.shutdown(socket.SHUT_WR)
        except socket.error:
            asked = b""
        if asked in (ENDINGS["ESTABLISHED"], ENDINGS["FIN_WAIT"], ENDINGS["CLOSE"]):
            self.held.append((asked, connection))
        else:
            connection.close()

    def end(self):
        """End the connections that were kept, those that shall be reset last: IPVS forgets them after 10 seconds."""
        for asked, connection in sorted(self.held, key=lambda pair: pair[0] == ENDINGS["CLOSE"]):
            (reset if asked == ENDINGS["CLOSE"] else vanish)(connection)
        self.held = []


def last_number(bound):
    """What a backend calls itself."""
    return bound.getsockname()[0].replace(":", ".").rsplit(".", 1)[-1].encode("ascii")


class Connection(object):
    """A TCP connection of a client; `seconds` until it stood, and the backend's name, or None."""

    events = WRITABLE

    def __init__(self, family, source, target, state="TIME_WAIT"):
        self.seconds = self.backend = self.error = None
        self.received = b""
        self.state = state
        self.target = target
        self.socket = socket.socket(FAMILIES[family], socket.SOCK_STREAM)
        self.socket.setblocking(False)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(source)

    def start(self):
        """Send the SYN."""
        self.began = clock()
        status = self.socket.connect_ex(self.target)
        while status == errno.EADDRNOTAVAIL and clock() - self.began < LIMIT:
            # The last acknowledgement of the connection before is still under way.
            time.sleep(0.01)
            self.began = clock()
            status = self.socket.connect_ex(self.target)
        if status not in WAIT + (0,):
            self.error = errno.errorcode[status]

    def repeat(self):
        """The kernel repeats what TCP has lost."""

    def ready(self):
        """Go on; whether that was all."""
        if self.seconds is None:
            status = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if status:
                self.error = errno.errorcode[status]
                return True
            self.seconds = clock() - self.began
            self.socket.sendall(ENDINGS[self.state])
            self.events = READABLE
            return False
        try:
            data = self.socket.recv(64)
        except socket.error as error:
            if error.errno in WAIT:
                return False
            self.error = errno.errorcode[error.errno]
            return True
        self.received += data
        if data and self.state in ("TIME_WAIT", "FIN_WAIT"):
            return False
        if self.state != "TIME_WAIT":
            # Acknowledge now: what the backend sends once more, because this machine was busy for a moment, changes the state in conntrack.
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        self.backend = self.received.decode("ascii") or None
        return True

    def end(self):
        """Close it, or let it vanish."""
        if self.error is None and self.state in ("ESTABLISHED", "FIN_WAIT"):
            vanish(self.socket)
        else:
            self.socket.close()


class Datagrams(Connection):
    """A UDP client; `seconds` until a datagram was answered. Its entry in IPVS has one state only."""

    events = READABLE

    def __init__(self, family, source, target):
        super(Datagrams, self).__init__(family, source, target, "UDP")
        self.socket.close()
        self.socket = socket.socket(FAMILIES[family], socket.SOCK_DGRAM)
        self.socket.setblocking(False)
        self.socket.bind(source)
        self.socket.connect(target)

    def start(self):
        """Send a datagram."""
        self.began = self.sent = clock()
        self.socket.send(b"x")

    def repeat(self):
        """Send it again when it is time."""
        if clock() - self.sent >= AGAIN:
            self.sent = clock()
            self.socket.send(b"x")

    def ready(self):
        """Read the answer."""
        try:
            self.backend = self.socket.recv(64).decode("ascii")
            self.seconds = clock() - self.began
        except socket.error as error:
            self.error = errno.errorcode[error.errno]
        return True

    def end(self):
        """Close it."""
        self.socket.close()


def run_all(connections):
    """Run connections until each is done or LIMIT has passed for it. One that stands at once is timed at once, however many there are."""
    poller, pending = select.poll(), {}

    def collect(milliseconds):
        for number, _event in poller.poll(milliseconds):
            if pending[number].ready():
                poller.unregister(number)
                del pending[number]
            else:
                poller.modify(number, pending[number].events)

    for connection in connections:
        connection.start()
        if connection.error is None:
            pending[connection.socket.fileno()] = connection
            poller.register(connection.socket, connection.events)
        collect(0)
    while pending:
        collect(20)
        for number, connection in list(pending.items()):
            if clock() - connection.began > LIMIT:
                connection.error = "no answer"
                poller.unregister(number)
                del pending[number]
            else:
                connection.repeat()
