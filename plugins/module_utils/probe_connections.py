# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Many TCP connections at once, each from a fixed port, and the servers that answer them: one thread, nothing blocks.

A server says the last number of its address and closes first. How long the connection took to stand is measured before that, and how often the
client's kernel had to repeat a packet: a SYN that is lost is repeated after 1 second, and then after 2 more.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import os
import select
import socket
import struct
import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock

# After this nothing is expected any more.
LIMIT = 3.5
WAIT = (errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS, errno.EINTR)
# struct tcp_info of linux/tcp.h, up to tcpi_total_retrans.
TCP_INFO = 11
TOTAL_RETRANSMISSIONS = struct.Struct('=100xI')
LONGEST_NAME = 16
BACKLOG = 128
MILLISECONDS = 20


def last_number(address):
    """What a server calls itself."""
    return address.rsplit('.', 1)[-1]


def retransmissions(connection):
    """How many packets of a connection had to be repeated, None if the kernel does not say."""
    try:
        data = connection.getsockopt(socket.IPPROTO_TCP, TCP_INFO, TOTAL_RETRANSMISSIONS.size)
    except socket.error:
        return None
    return TOTAL_RETRANSMISSIONS.unpack(data)[0] if len(data) == TOTAL_RETRANSMISSIONS.size else None


class Servers(object):
    """Answers on a port of all addresses of the namespace in which it is made. To be closed."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(('0.0.0.0', port))
        self.socket.listen(BACKLOG)
        self.socket.setblocking(False)

    def answer(self):
        """Answer everybody who waits."""
        while True:
            try:
                connection = self.socket.accept()[0]
            except socket.error:
                return
            try:
                connection.sendall(last_number(connection.getsockname()[0]).encode('ascii'))
            except socket.error:
                # The client is told by the end of the connection.
                pass
            connection.close()

    def close(self):
        """Close it."""
        self.socket.close()


class Connection(object):
    """A connection of a client in the namespace in which it is made. seconds: until it stood; server: its name; error: None or what went wrong."""

    def __init__(self, source, target):
        self.seconds = self.server = self.error = self.repeated = None
        self.began = None
        self.events = select.POLLOUT
        self._received = b''
        self._target = target
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            self.socket.setblocking(False)
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind(source)
        except socket.error as error:
            self._fail(error.errno)

    def _fail(self, code):
        self.error = os.strerror(code) if code else 'no reason given'
        self.close()

    def start(self):
        """Send the SYN; whether it was sent."""
        if self.error is not None:
            return False
        first = clock()
        while True:
            self.began = clock()
            status = self.socket.connect_ex(self._target)
            # The last acknowledgement of the connection before is still under way.
            if status != errno.EADDRNOTAVAIL or self.began - first > LIMIT:
                break
            time.sleep(0.01)
        if status not in WAIT + (0,):
            self._fail(status)
        return self.error is None

    def go_on(self):
        """Go on when it is ready; whether that was all."""
        if self.seconds is None:
            seconds = clock() - self.began
            status = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            if status:
                self._fail(status)
                return True
            self.seconds = seconds
            self.repeated = retransmissions(self.socket)
            self.events = select.POLLIN
            return False
        try:
            data = self.socket.recv(LONGEST_NAME)
        except socket.error as error:
            if error.errno in WAIT:
                return False
            self._fail(error.errno)
            return True
        self._received += data
        if data and len(self._received) < LONGEST_NAME:
            return False
        self.server = self._received.decode('ascii', 'replace') or None
        if self.server is None:
            self.error = 'closed without an answer'
        self.close()
        return True

    def give_up(self):
        """It has taken too long."""
        self.error = 'no answer'
        self.close()

    def close(self):
        """Close it."""
        self.socket.close()


class _Waiting(object):
    """The connections that are not done, and the servers."""

    def __init__(self, servers):
        self._servers = servers
        self._poller = select.poll()
        self._poller.register(servers.socket, select.POLLIN)
        self.pending = {}

    def add(self, connection):
        """Wait for one more."""
        if connection.start():
            self.pending[connection.socket.fileno()] = connection
            self._poller.register(connection.socket, connection.events)

    def remove(self, number):
        """Wait for one less."""
        self._poller.unregister(number)
        del self.pending[number]

    def collect(self, milliseconds):
        """What happens until then."""
        try:
            ready = self._poller.poll(milliseconds)
        except (select.error, OSError) as error:
            if error.args[0] != errno.EINTR:
                raise
            return
        for number, dummy in ready:
            connection = self.pending.get(number)
            if connection is None:
                self._servers.answer()
                continue
            events = connection.events
            if connection.go_on():
                # Its socket is closed, and the poller forgets the number.
                self.remove(number)
            elif connection.events != events:
                self._poller.modify(number, connection.events)


def run_all(connections, servers, limit=LIMIT):
    """Run connections until each is done or LIMIT seconds have passed for it."""
    waiting = _Waiting(servers)
    for connection in connections:
        waiting.add(connection)
        waiting.collect(0)
    while waiting.pending:
        waiting.collect(MILLISECONDS)
        for number, connection in list(waiting.pending.items()):
            if clock() - connection.began > limit:
                waiting.remove(number)
                connection.give_up()
