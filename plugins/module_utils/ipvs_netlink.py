# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IPVS services of this network namespace, listed and deleted one by one (generic netlink, include/uapi/linux/ip_vs.h)."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import collections
import errno
import socket
import struct

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import GENERIC, NESTED, Netlink, NetlinkError, attribute, attributes, number, text

GENL_CONTROLLER, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 16, 3, 1, 2
GENL_HEADER = struct.Struct('=BBH')
FAMILY = 'IPVS'
VERSION = 1
CMD_DEL_SERVICE, CMD_GET_SERVICE = 3, 4
CMD_ATTR_SERVICE = 1
SVC_ATTR_AF, SVC_ATTR_PROTOCOL, SVC_ATTR_ADDR, SVC_ATTR_PORT, SVC_ATTR_FWMARK, SVC_ATTR_NETMASK = 1, 2, 3, 4, 5, 9
PROTOCOLS = {6: 'TCP', 17: 'UDP', 132: 'SCTP'}
ADDRESS_SIZES = {socket.AF_INET: 4, socket.AF_INET6: 16}
# An address fills this much, whatever its family.
ADDRESS_ROOM = 16

# One virtual service. family: of socket. protocol: its number, and address: text, and port: None for a fwmark service. fwmark: 0 for any
# other. netmask: of the persistence, as the kernel has it.
Service = collections.namedtuple('Service', 'family protocol address port fwmark netmask')


def protocol_name(service):
    """TCP, UDP, SCTP, or FWM as in /proc/net/ip_vs."""
    return 'FWM' if service.fwmark else PROTOCOLS.get(service.protocol, '%s' % service.protocol)


def encode_service(service):
    """The attribute that names a service, as bytes."""
    inner = attribute(SVC_ATTR_AF, struct.pack('=H', service.family))
    if service.fwmark:
        inner += attribute(SVC_ATTR_FWMARK, struct.pack('=I', service.fwmark))
    else:
        packed = socket.inet_pton(service.family, service.address)
        inner += attribute(SVC_ATTR_PROTOCOL, struct.pack('=H', service.protocol))
        inner += attribute(SVC_ATTR_ADDR, packed + b'\0' * (ADDRESS_ROOM - len(packed)))
        inner += attribute(SVC_ATTR_PORT, struct.pack('!H', service.port))
    return attribute(CMD_ATTR_SERVICE | NESTED, inner)


def decode_service(payload):
    """The Service in the payload of a message, None if there is none that is understood."""
    inner = attributes(attributes(payload[GENL_HEADER.size :]).get(CMD_ATTR_SERVICE, b''))
    family = number('=H', inner.get(SVC_ATTR_AF))
    size = ADDRESS_SIZES.get(family)
    netmask = number('=I', inner.get(SVC_ATTR_NETMASK))
    fwmark = number('=I', inner.get(SVC_ATTR_FWMARK)) or 0
    if size is None:
        return None
    if fwmark:
        return Service(family, None, None, None, fwmark, netmask)
    protocol, port = number('=H', inner.get(SVC_ATTR_PROTOCOL)), number('!H', inner.get(SVC_ATTR_PORT))
    packed = inner.get(SVC_ATTR_ADDR, b'')[:size]
    if protocol is None or port is None or len(packed) < size:
        return None
    return Service(family, protocol, socket.inet_ntop(family, packed), port, 0, netmask)


def _family_id(payload):
    found = attributes(payload[GENL_HEADER.size :])
    return number('=H', found.get(CTRL_ATTR_FAMILY_ID)) if text(found.get(CTRL_ATTR_FAMILY_NAME)) == FAMILY else None


class IpvsServices(object):
    """The table of this network namespace. To be closed."""

    def __init__(self):
        self._netlink = Netlink(GENERIC)
        self._family = None

    def close(self):
        """Close the socket."""
        self._netlink.close()

    def is_there(self):
        """Whether the kernel has IPVS now. Raises NetlinkError."""
        if self._family is None:
            # All families are asked for: to ask for one by its name makes the kernel load a module of that name.
            found = self._netlink.dump(GENL_CONTROLLER, GENL_HEADER.pack(CTRL_CMD_GETFAMILY, VERSION, 0), _family_id)
            self._family = found[0] if found else None
        return self._family is not None

    def services(self):
        """All Services, [] without IPVS. Raises NetlinkError."""
        if not self.is_there():
            return []
        return self._netlink.dump(self._family, GENL_HEADER.pack(CMD_GET_SERVICE, VERSION, 0), decode_service)

    def delete(self, service):
        """Delete one Service with all its destinations; whether it was there. Raises NetlinkError."""
        if not self.is_there():
            return False
        try:
            self._netlink.ask(self._family, GENL_HEADER.pack(CMD_DEL_SERVICE, VERSION, 0) + encode_service(service))
        except NetlinkError as error:
            if error.number == errno.ESRCH:
                return False
            raise
        return True
