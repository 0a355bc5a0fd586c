# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IPVS services and their destinations, added, edited and deleted (generic netlink, include/uapi/linux/ip_vs.h)."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import socket
import struct

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_netlink import (
    ADDRESS_ROOM,
    CMD_ATTR_SERVICE,
    GENL_HEADER,
    SVC_ATTR_NETMASK,
    VERSION,
    IpvsServices,
    Service,
    encode_service,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import ATTRIBUTE, NESTED, NetlinkError, attribute

CMD_NEW_SERVICE, CMD_NEW_DEST, CMD_SET_DEST, CMD_DEL_DEST = 1, 5, 6, 7
CMD_ATTR_DEST = 2
SVC_ATTR_SCHED_NAME, SVC_ATTR_FLAGS, SVC_ATTR_TIMEOUT = 6, 7, 8
DEST_ATTR_ADDR, DEST_ATTR_PORT, DEST_ATTR_FWD_METHOD, DEST_ATTR_WEIGHT, DEST_ATTR_U_THRESH, DEST_ATTR_L_THRESH = 1, 2, 3, 4, 5, 6
MASQUERADING = 0
ONE_ADDRESS = 0xFFFFFFFF
SCHEDULER = 'rr'


def tcp_service(address, port):
    """The Service of TCP on an address of IPv4."""
    return Service(socket.AF_INET, socket.IPPROTO_TCP, address, port, 0, ONE_ADDRESS)


def encode_new_service(service):
    """The attribute that describes a service without persistence, as bytes."""
    named = encode_service(service)[ATTRIBUTE.size :]
    more = attribute(SVC_ATTR_SCHED_NAME, SCHEDULER.encode('ascii') + b'\0')
    # All flags are off, and all of them are meant.
    more += attribute(SVC_ATTR_FLAGS, struct.pack('=II', 0, 0xFFFFFFFF))
    more += attribute(SVC_ATTR_TIMEOUT, struct.pack('=I', 0)) + attribute(SVC_ATTR_NETMASK, struct.pack('=I', service.netmask))
    return attribute(CMD_ATTR_SERVICE | NESTED, named + more)


def encode_destination(address, port, weight=None):
    """The attribute that names a destination, and with a weight describes it as one that is masqueraded, as bytes."""
    packed = socket.inet_pton(socket.AF_INET, address)
    inner = attribute(DEST_ATTR_ADDR, packed + b'\0' * (ADDRESS_ROOM - len(packed))) + attribute(DEST_ATTR_PORT, struct.pack('!H', port))
    if weight is not None:
        for kind, number in ((DEST_ATTR_FWD_METHOD, MASQUERADING), (DEST_ATTR_WEIGHT, weight), (DEST_ATTR_U_THRESH, 0), (DEST_ATTR_L_THRESH, 0)):
            inner += attribute(kind, struct.pack('=I', number))
    return attribute(CMD_ATTR_DEST | NESTED, inner)


class ProbeServices(IpvsServices):
    """The table of the namespace in which it is made. To be closed. All of it raises NetlinkError."""

    def _ask(self, command, payload):
        if not self.is_there():
            raise NetlinkError('the kernel has no IPVS')
        self._netlink.ask(self._family, GENL_HEADER.pack(command, VERSION, 0) + payload)

    def add(self, service):
        """Add a Service."""
        self._ask(CMD_NEW_SERVICE, encode_new_service(service))

    def add_destination(self, service, address, port):
        """Add a destination with the weight 1."""
        self._ask(CMD_NEW_DEST, encode_service(service) + encode_destination(address, port, 1))

    def set_weight(self, service, address, port, weight):
        """Change the weight of a destination."""
        self._ask(CMD_SET_DEST, encode_service(service) + encode_destination(address, port, weight))

    def delete_destination(self, service, address, port):
        """Delete a destination."""
        self._ask(CMD_DEL_DEST, encode_service(service) + encode_destination(address, port))
