# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network interfaces of this network namespace: of what kind one is, and its removal (rtnetlink(7), include/uapi/linux/if_link.h)."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import collections
import errno
import struct

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import ROUTE, Netlink, NetlinkError, attribute, attributes, text

RTM_DELLINK, RTM_GETLINK = 17, 18
# family, padding, type, index, flags, change.
HEADER = struct.Struct('=BBHiII')
IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND = 3, 18, 1

# kind: dummy, veth, ..., None where the kernel says none.
Link = collections.namedtuple('Link', 'name index kind')


def decode_link(payload):
    """The Link in the payload of a message."""
    found = attributes(payload[HEADER.size :])
    index = HEADER.unpack_from(payload)[3]
    return Link(text(found.get(IFLA_IFNAME)), index, text(attributes(found.get(IFLA_LINKINFO, b'')).get(IFLA_INFO_KIND)))


def find_link(name):
    """The Link of this name, None if there is none. Raises NetlinkError."""
    netlink = Netlink(ROUTE)
    try:
        # By its name as an attribute: an ioctl would make the kernel look for a module of that name.
        found = netlink.ask(RTM_GETLINK, HEADER.pack(0, 0, 0, 0, 0, 0) + attribute(IFLA_IFNAME, name.encode('ascii') + b'\0'))
    except NetlinkError as error:
        if error.number == errno.ENODEV:
            return None
        raise
    finally:
        netlink.close()
    return decode_link(found[0]) if found else None


def delete_link(link):
    """Remove the interface with this index; whether it was there. Raises NetlinkError."""
    netlink = Netlink(ROUTE)
    try:
        netlink.ask(RTM_DELLINK, HEADER.pack(0, 0, 0, link.index, 0, 0))
    except NetlinkError as error:
        if error.number == errno.ENODEV:
            return False
        raise
    finally:
        netlink.close()
    return True
