# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Throw-away network namespaces and what joins them: pairs of veth, addresses and routes (rtnetlink(7), network_namespaces(7)).

A namespace has no name and no file: it is there as long as the process that made it, and goes with it however that ends.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import contextlib
import os
import socket
import struct

try:
    import ctypes
except ImportError:
    # Some builds of Python leave it out; refusal() of probe_run says so.
    ctypes = None

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import link_netlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NESTED, NLM_F_ACK, ROUTE, Netlink, NetlinkError, attribute

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
OWN_NAMESPACE = '/proc/self/ns/net'

NLM_F_EXCL, NLM_F_CREATE = 0x200, 0x400
CREATE = NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL
RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE = 16, 20, 24
IFF_UP = 1
IFLA_NET_NS_FD, IFLA_INFO_DATA, VETH_INFO_PEER = 28, 2, 1
# family, length of the prefix, flags, scope, index.
ADDRESS_HEADER = struct.Struct('=BBBBI')
IFA_ADDRESS, IFA_LOCAL = 1, 2
# family, lengths of the destination and the source, type of service, table, protocol, scope, type, flags.
ROUTE_HEADER = struct.Struct('=BBBBBBBBI')
RTA_DST, RTA_GATEWAY = 1, 5
MAIN_TABLE, BOOT, EVERYWHERE, UNICAST = 254, 3, 0, 1


def _libc():
    return ctypes.CDLL(None, use_errno=True)


def _check(status):
    if status != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def end_with_parent(signal_number):
    """Have this process get a signal when the thread that made it ends. Raises OSError."""
    _check(_libc().prctl(PR_SET_PDEATHSIG, ctypes.c_ulong(signal_number), 0, 0, 0))


def unshare_network():
    """Move this process to a new network namespace. Raises OSError."""
    _check(_libc().unshare(CLONE_NEWNET))


def _enter(handle):
    _check(_libc().setns(handle, CLONE_NEWNET))


class Namespace(object):
    """A new network namespace. The process has one thread, and is back in the namespace where it was. Raises OSError."""

    def __init__(self):
        before = os.open(OWN_NAMESPACE, os.O_RDONLY)
        try:
            unshare_network()
            self.handle = os.open(OWN_NAMESPACE, os.O_RDONLY)
            _enter(before)
        finally:
            os.close(before)

    @contextlib.contextmanager
    def entered(self):
        """What the process does meanwhile, it does in this namespace: /proc/sys/net and /proc/self/net show it too."""
        before = os.open(OWN_NAMESPACE, os.O_RDONLY)
        try:
            _enter(self.handle)
            try:
                yield
            finally:
                _enter(before)
        finally:
            os.close(before)

    def close(self):
        """Let go of it. It ends with the last socket in it."""
        os.close(self.handle)


def _name(name):
    return attribute(link_netlink.IFLA_IFNAME, name.encode('ascii') + b'\0')


def encode_pair(name, peer_name, peer_namespace):
    """The payload that makes a pair of veth: one end here, the other in the namespace with this open file."""
    empty = link_netlink.HEADER.pack(0, 0, 0, 0, 0, 0)
    peer = empty + _name(peer_name) + attribute(IFLA_NET_NS_FD, struct.pack('=I', peer_namespace))
    data = attribute(IFLA_INFO_DATA | NESTED, attribute(VETH_INFO_PEER | NESTED, peer))
    return empty + _name(name) + attribute(link_netlink.IFLA_LINKINFO | NESTED, attribute(link_netlink.IFLA_INFO_KIND, b'veth\0') + data)


def encode_up(index):
    """The payload that switches a link on."""
    return link_netlink.HEADER.pack(0, 0, 0, index, IFF_UP, IFF_UP)


def encode_address(address, length, index):
    """The payload that gives a link an address of IPv4."""
    packed = socket.inet_pton(socket.AF_INET, address)
    return ADDRESS_HEADER.pack(socket.AF_INET, length, 0, 0, index) + attribute(IFA_LOCAL, packed) + attribute(IFA_ADDRESS, packed)


def encode_route(network, length, gateway):
    """The payload that adds a route of IPv4."""
    packed = [socket.inet_pton(socket.AF_INET, text) for text in (network, gateway)]
    header = ROUTE_HEADER.pack(socket.AF_INET, length, 0, 0, MAIN_TABLE, BOOT, EVERYWHERE, UNICAST, 0)
    return header + attribute(RTA_DST, packed[0]) + attribute(RTA_GATEWAY, packed[1])


class Links(object):
    """Links, addresses and routes of the namespace in which the process is now. To be closed. All of it raises NetlinkError."""

    def __init__(self):
        self._netlink = Netlink(ROUTE)

    def close(self):
        """Close the socket."""
        self._netlink.close()

    def _index(self, name):
        link = link_netlink.find_link(name)
        if link is None:
            raise NetlinkError('there is no link %s' % name)
        return link.index

    def pair(self, name, peer_name, peer_namespace):
        """Make a pair of veth from here to a Namespace."""
        self._netlink.ask(RTM_NEWLINK, encode_pair(name, peer_name, peer_namespace.handle), CREATE)

    def switch_on(self, name):
        """Switch a link on."""
        self._netlink.ask(RTM_NEWLINK, encode_up(self._index(name)))

    def address(self, name, address, length):
        """Give a link an address."""
        self._netlink.ask(RTM_NEWADDR, encode_address(address, length, self._index(name)), CREATE)

    def route(self, network, length, gateway):
        """Add a route."""
        self._netlink.ask(RTM_NEWROUTE, encode_route(network, length, gateway), CREATE)
