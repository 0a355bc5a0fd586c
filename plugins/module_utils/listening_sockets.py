# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""On which addresses a process listens itself.

A port alone does not tell whose answer comes from it: the process from before may still be there, or a stranger took the port.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re
import socket
import struct

LISTENS = b'0A'
_SOCKET = re.compile(r'^socket:\[([0-9]{1,20})\]$')


def _address(text):
    """'0100007F' -> '127.0.0.1' on most machines: words of 4 bytes, each in the order of the processor. None for anything else."""
    if len(text) not in (8, 32):
        return None
    try:
        packed = b''.join(struct.pack('=I', int(text[start : start + 8], 16)) for start in range(0, len(text), 8))
        return socket.inet_ntop(socket.AF_INET if len(packed) == 4 else socket.AF_INET6, packed)
    except (ValueError, struct.error, socket.error):
        return None


def _listed(node, path):
    """(address, port, inode as text) of each listening socket in a file such as /proc/net/tcp."""
    for line in node.lines(path):
        words = line.split()
        if len(words) < 10 or words[3] == b'st':
            continue
        if words[3] != LISTENS:
            # The kernel lists those that listen before all others, of which there can be very many.
            return
        host, dummy, port = words[1].decode('ascii', 'replace').rpartition(':')
        address = _address(host)
        if address is not None and re.match(r'^[0-9A-F]{4}$', port):
            yield address, int(port, 16), words[9].decode('ascii', 'replace')


def _own(node, pid):
    """The inodes of the sockets that a process has open, as texts; None if that cannot be seen, as of another user's process without root."""
    directory = '/proc/%d/fd' % pid
    names = node.names(directory)
    links = [node.link('%s/%s' % (directory, name)) for name in names or []]
    if names is None or (links and not any(links)):
        return None
    found = [_SOCKET.match(link or '') for link in links]
    return set(match.group(1) for match in found if match)


def listening(node, pid, ports):
    """({port of PORTS: addresses on which process PID listens, sorted}, whether they are really its own).

    Where its descriptors cannot be seen, these are the addresses on which anybody listens in its network namespace.
    """
    listed = [entry for name in ('tcp', 'tcp6') for entry in _listed(node, '/proc/%d/net/%s' % (pid, name)) if entry[1] in ports]
    own = _own(node, pid) if listed else set()
    found = dict((port, []) for port in ports)
    for address, port, inode in listed:
        if own is None or inode in own:
            found[port].append(address)
    return dict((port, sorted(addresses)) for port, addresses in found.items()), own is not None
