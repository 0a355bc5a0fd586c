# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small HTTP GET to an address of this node, for asking kube-proxy about itself."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re
import socket

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock

CHUNK = 64 * 1024
HEAD_LIMIT = 64 * 1024
END_OF_HEAD = b'\r\n\r\n'


class _Answer(object):
    """Bytes that arrive, split into head and body."""

    def __init__(self):
        self.head, self.data = None, bytearray()

    def add(self, data):
        self.data += data
        if self.head is None and END_OF_HEAD in self.data:
            head, dummy, rest = bytes(self.data).partition(END_OF_HEAD)
            self.head, self.data = head, bytearray(rest)

    @property
    def is_complete(self):
        """Whether there is a head: what has none is no answer."""
        return self.head is not None

    @property
    def status(self):
        """The number in `HTTP/1.0 200 OK`, or None for anything else."""
        found = re.match(b'HTTP/[0-9.]+ ([0-9]{3})(?![0-9])', self.head or b'')
        return int(found.group(1)) if found else None


def _receive(connection, answer, deadline, limit, until):
    while len(answer.data) < (limit if answer.is_complete else HEAD_LIMIT):
        remaining = deadline - clock()
        if remaining <= 0:
            return
        connection.settimeout(remaining)
        data = connection.recv(CHUNK)
        if not data:
            return
        answer.add(data)
        if until is not None and answer.is_complete and until(answer.data):
            return


def get(address, port, path, timeout_seconds, limit, until=None):
    """(status, body) of GET PATH; (None, b'') if nothing answers with HTTP.

    timeout_seconds: for all of it together. limit: bytes of the body that are read at most. until: function of the body so far, a
    bytearray, that says when enough of it is there.
    """
    deadline = clock() + timeout_seconds
    answer = _Answer()
    connection = None
    try:
        connection = socket.create_connection((address, port), timeout_seconds)
        host = '[%s]' % address if ':' in address else address
        # HTTP/1.0: the answer is not sent in chunks, and the connection ends with it.
        connection.sendall(('GET %s HTTP/1.0\r\nHost: %s:%d\r\nUser-Agent: kubeproxy.ipvs\r\nAccept: text/plain\r\n\r\n' % (path, host, port)).encode('ascii'))
        _receive(connection, answer, deadline, limit, until)
    except (socket.error, socket.timeout, OSError, OverflowError, UnicodeError):
        # What has arrived before is looked at.
        pass
    finally:
        if connection is not None:
            connection.close()
    status = answer.status
    return (None, b'') if status is None else (status, bytes(answer.data[:limit]))
