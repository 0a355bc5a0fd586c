# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A small HTTP GET to an address of this node, for asking kube-proxy about itself."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import socket
import time

CHUNK = 64 * 1024


class _Answer(object):
    """Bytes that arrive, split into head and body."""

    def __init__(self):
        self.head, self.data = None, b''

    def add(self, data):
        self.data += data
        if self.head is None and b'\r\n\r\n' in self.data:
            self.head, dummy, self.data = self.data.partition(b'\r\n\r\n')


def _status(head):
    words = head.split(b'\r\n', 1)[0].split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def get(address, port, path, timeout_seconds, limit, until=None):
    """(status, body) of GET PATH; (None, b'') if nothing answers.

    timeout_seconds: for all of it together. limit: bytes of the body that are read at most. until: function of the body so far that
    says when enough of it is there.
    """
    deadline = time.time() + timeout_seconds
    answer = _Answer()
    connection = None
    try:
        connection = socket.create_connection((address, port), timeout_seconds)
        host = '[%s]' % address if ':' in address else address
        # HTTP/1.0: the answer is not sent in chunks, and the connection ends with it.
        connection.sendall(
            ('GET %s HTTP/1.0\r\nHost: %s:%d\r\nUser-Agent: kubeproxy.ipvs\r\nAccept: text/plain\r\n\r\n' % (path, host, port)).encode('ascii')
        )
        while len(answer.data) < limit:
            remaining = deadline - time.time()
            if remaining <= 0:
                break
            connection.settimeout(remaining)
            data = connection.recv(CHUNK)
            if not data:
                break
            answer.add(data)
            if until is not None and answer.head is not None and until(answer.data):
                break
    except (socket.error, socket.timeout, OSError, OverflowError, UnicodeError):
        if answer.head is None:
            return None, b''
    finally:
        if connection is not None:
            connection.close()
    if answer.head is None:
        return None, b''
    return _status(answer.head), answer.data[:limit]
