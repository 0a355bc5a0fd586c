# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whether virtual services of the IPVS table answer: a TCP connection to each, opened from this node and closed again."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import os
import select
import socket

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import OWN_NAMESPACE, join_endpoint, parse_endpoint

IN_PROGRESS = (errno.EINPROGRESS, errno.EALREADY, errno.EWOULDBLOCK)
TIMED_OUT = 'no answer'
NO_ENTRY = 'no longer in the IPVS table with a backend'
MAXIMUM_LOST, MAXIMUM_NAMED = 20, 5


def answerable(node):
    """[(address, port)] of all TCP services in the table that have a destination with a weight above 0, in its order; [] without a table."""
    found = []
    service = None
    for line in node.lines(OWN_NAMESPACE + '/ip_vs'):
        words = line.split()
        if not words:
            continue
        if words[0] == b'->':
            if service is not None and len(words) > 3 and words[3].isdigit() and int(words[3]) > 0:
                found.append(service)
                # One destination is enough.
                service = None
        else:
            service = parse_endpoint(words[1].decode('ascii', 'replace')) if words[0] == b'TCP' and len(words) > 1 else None
            # What is valid on one interface alone cannot be reached without its name.
            if service is not None and (service[0].lower().startswith('fe80:') or not service[1]):
                service = None
    return found


def spread(items, count):
    """At most COUNT of the items, from all over the list."""
    if len(items) <= count:
        return list(items)
    return [items[position * len(items) // count] for position in range(count)]


class _Attempt(object):
    """One connection that is being opened."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        self._socket = socket.socket(socket.AF_INET6 if ':' in endpoint[0] else socket.AF_INET, socket.SOCK_STREAM)
        self._socket.setblocking(False)
        self.error = self._socket.connect_ex(endpoint)

    def fileno(self):
        """For poll()."""
        return self._socket.fileno()

    def finish(self):
        """None if the connection stands, else why not."""
        error = self.error if self.error not in IN_PROGRESS + (0,) else self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            return os.strerror(error)
        try:
            # A port of this node without a listener can, by chance, be the one that the connection itself was given.
            return None if self._socket.getpeername() != self._socket.getsockname() else 'only itself'
        except (IOError, OSError) as failure:
            return os.strerror(failure.errno) if failure.errno else TIMED_OUT

    def close(self):
        """End the connection in the ordinary way, so that nobody at the other end sees a reset; one that is not open is given up."""
        try:
            self._socket.shutdown(socket.SHUT_RDWR)
        except (IOError, OSError):
            pass
        self._socket.close()


def _wait(attempts, deadline):
    """{endpoint: None or why not} of those that ended before DEADLINE."""
    outcome = {}
    poll = select.poll()
    waiting = {}
    for attempt in attempts:
        if attempt.error in IN_PROGRESS:
            waiting[attempt.fileno()] = attempt
            poll.register(attempt.fileno(), select.POLLOUT)
        else:
            outcome[attempt.endpoint] = attempt.finish()
    while waiting and clock() < deadline:
        try:
            events = poll.poll(max(1, int((deadline - clock()) * 1000)))
        except (IOError, OSError, select.error):
            # A signal, with Python 2.7.
            continue
        for descriptor, dummy in events:
            poll.unregister(descriptor)
            attempt = waiting.pop(descriptor)
            outcome[attempt.endpoint] = attempt.finish()
    return outcome


def try_services(endpoints, seconds):
    """{endpoint: None if a connection to it was established, else the reason}. seconds: for all of them together.

    Nothing but an established connection is an answer: a refusal may come from this node, on which all the addresses are.
    """
    deadline = clock() + seconds
    outcome = dict.fromkeys(endpoints, TIMED_OUT)
    attempts = []
    try:
        for endpoint in endpoints:
            try:
                attempts.append(_Attempt(endpoint))
            except (IOError, OSError, OverflowError, UnicodeError) as error:
                outcome[endpoint] = getattr(error, 'strerror', None) or str(error)
        outcome.update(_wait(attempts, deadline))
    finally:
        for attempt in attempts:
            attempt.close()
    return outcome


class ServiceTrial(object):
    """The same services before and after a restart.

    endpoints: those that are tried. seconds: for each try of all of them.
    """

    def __init__(self, node, endpoints, seconds):
        self._node, self._seconds = node, seconds
        outcome = try_services(endpoints, seconds)
        self.tried = len(endpoints)
        # One that did not answer before proves nothing.
        self.answered = [endpoint for endpoint in endpoints if outcome[endpoint] is None]
        self.lost = None

    @property
    def pending(self):
        """Whether some have not answered again yet."""
        return bool(self.answered) if self.lost is None else bool(self.lost)

    def try_again(self, in_table):
        """Try those that have not answered since the restart. in_table: whether they must be in the IPVS table, too."""
        waiting = [endpoint for endpoint in self.answered if self.lost is None or endpoint in self.lost]
        outcome = try_services(waiting, self._seconds)
        # Whatever else listens on that port of the node answers in place of a service that is gone.
        present = set(answerable(self._node)) if in_table else None
        self.lost = {}
        for endpoint in waiting:
            reason = NO_ENTRY if present is not None and endpoint not in present else outcome[endpoint]
            if reason is not None:
                self.lost[endpoint] = reason

    def _lost(self):
        return [endpoint for endpoint in self.answered if endpoint in (self.lost or {})]

    def result(self):
        """`services` of the module."""
        return {
            'tried': self.tried,
            'answered_before': len(self.answered),
            'answered_after': None if self.lost is None else len(self.answered) - len(self.lost),
            'lost': [join_endpoint(*endpoint) for endpoint in self._lost()[:MAXIMUM_LOST]],
        }

    def problem(self):
        """A sentence, or None."""
        lost = self._lost()
        if not lost:
            return None
        named = ['%s (%s)' % (join_endpoint(*endpoint), self.lost[endpoint]) for endpoint in lost[:MAXIMUM_NAMED]]
        if len(lost) > MAXIMUM_NAMED:
            named.append('and %d more' % (len(lost) - MAXIMUM_NAMED))
        return '%d of %d Services that answered before the restart do not answer after it: %s' % (len(lost), len(self.answered), ', '.join(named))
