# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses as the kernel writes them in /proc/net/ip_vs and its like, and those that a node has."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import array
import re
import socket
import struct

try:
    import fcntl
except ImportError:
    fcntl = None

SIOCGIFCONF = 0x8912
OWN_NAMESPACE = '/proc/net'
_HEX2 = re.compile(r'^[0-9A-Fa-f]{1,4}$')
_HEX4 = re.compile(r'^[0-9A-Fa-f]{8}$')


def parse_address(text):
    """'0A600001' -> '10.96.0.1'; '[fd00:0000:...:0001]' -> 'fd00::1'; None for anything else."""
    if _HEX4.match(text):
        number = int(text, 16)
        return '%d.%d.%d.%d' % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255)
    if text.startswith('[') and text.endswith(']'):
        try:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text[1:-1]))
        except (AttributeError, socket.error, TypeError, ValueError):
            return None
    return None


def parse_endpoint(text):
    """'0A600001:01BB' -> ('10.96.0.1', 443); None if it is none."""
    host, separator, port = text.rpartition(':')
    address = parse_address(host) if separator else None
    return None if address is None or not _HEX2.match(port) else (address, int(port, 16))


def join_endpoint(address, port):
    """'10.96.0.1:443', '[fd00::1]:443'."""
    return ('[%s]:%d' if ':' in address else '%s:%d') % (address, port)


def address_bytes(text):
    """An IPv4 or IPv6 address in network order, or None."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text)
        except (socket.error, TypeError, ValueError, UnicodeError):
            # TypeError: what Python 2.7 makes of a zero byte in it.
            continue
    return None


def _number(packed):
    return int(''.join('%02x' % byte for byte in bytearray(packed)), 16)


class Networks(object):
    """Some networks, each '10.0.0.0/8' or, without a length, one address. What is no network holds no address."""

    def __init__(self, cidrs):
        self._networks = []
        for cidr in cidrs:
            base, dummy, length = cidr.strip().partition('/')
            packed = address_bytes(base)
            if packed is None or (dummy and not re.match(r'^[0-9]{1,3}$', length)):
                continue
            bits = len(packed) * 8
            shift = bits - int(length) if length else 0
            if shift >= 0:
                self._networks.append((len(packed), shift, _number(packed) >> shift))

    def __contains__(self, address):
        """Whether ADDRESS (text) lies in one of them."""
        packed = address_bytes(address) if self._networks else None
        return packed is not None and any(len(packed) == size and _number(packed) >> shift == base for size, shift, base in self._networks)


def _live_ipv4():
    """[(interface, address)] of this network namespace by SIOCGIFCONF (netdevice(7)), or None."""
    if fcntl is None:
        return None
    # struct ifreq: a name of 16 bytes and a union of 16 or 24.
    entry = 40 if struct.calcsize('P') == 8 else 32
    probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        size = 128 * entry
        while True:
            room = array.array('B', b'\0' * size)
            filled = struct.unpack('iP', fcntl.ioctl(probe.fileno(), SIOCGIFCONF, struct.pack('iP', size, room.buffer_info()[0])))[0]
            # The kernel leaves out what does not fit, without a word.
            if filled < size - entry:
                break
            size *= 4
    except (IOError, OSError):
        return None
    finally:
        probe.close()
    data = room.tobytes() if hasattr(room, 'tobytes') else room.tostring()
    found = []
    for start in range(0, filled, entry):
        name = data[start : start + 16].split(b'\0', 1)[0].decode('ascii', 'replace')
        found.append((name.split(':')[0], socket.inet_ntoa(data[start + 20 : start + 24])))
    return found


def _ipv6(node, net):
    found = []
    for line in (node.text(net + '/if_inet6', limit=16 * 1024 * 1024) or '').split('\n'):
        words = line.split()
        if len(words) >= 6 and re.match(r'^[0-9a-f]{32}$', words[0]):
            packed = bytearray.fromhex(words[0])
            found.append((words[5], socket.inet_ntop(socket.AF_INET6, bytes(packed))))
    return found


def _collected(node):
    """[(interface, address)] from the output of `ip -o addr` in a sosreport, or None."""
    for path in ('/sos_commands/networking/ip_-o_addr', '/ip_addr'):
        text = node.text(path, limit=16 * 1024 * 1024)
        if text:
            return [(name.split('@')[0], address) for name, address in re.findall(r'(?m)^\d+:\s+(\S+)\s+inet6?\s+([0-9a-fA-F.:]+)', text)]
    return None


def node_addresses(node, net=OWN_NAMESPACE):
    """[(interface, address)] of all addresses in the network namespace whose files stand below NET, or None if they cannot be listed."""
    if node.live and net != OWN_NAMESPACE:
        # Only a process inside could ask.
        return None
    listed = _live_ipv4() if node.live else _collected(node)
    return None if listed is None else listed + _ipv6(node, net)
