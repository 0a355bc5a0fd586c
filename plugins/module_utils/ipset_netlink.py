# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The IP sets of this network namespace, listed and destroyed one by one (nfnetlink, include/uapi/linux/netfilter/ipset/ip_set.h)."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import struct

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import nfnetlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NETFILTER, NET_BYTE_ORDER, NLM_F_ACK, Netlink, NetlinkError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import attribute, attributes, text

CMD_DESTROY, CMD_LIST = 3, 7
# Newer kernels take this version too.
PROTOCOL = 6
ATTR_PROTOCOL, ATTR_SETNAME, ATTR_FLAGS = 1, 2, 6
FLAG_LIST_SETNAME = 2
ERR_BUSY, ERR_REFERENCED = 4100, 4108


class Busy(Exception):
    """The set is in use."""


def set_name(payload):
    """The name in the payload of a message, None if there is none."""
    return text(attributes(payload[nfnetlink.HEADER_SIZE :]).get(ATTR_SETNAME))


def question(name=None):
    """The payload of a question about one set, or about all."""
    payload = nfnetlink.header(nfnetlink.IPV4) + attribute(ATTR_PROTOCOL, struct.pack('=B', PROTOCOL))
    return payload if name is None else payload + attribute(ATTR_SETNAME, name.encode('ascii') + b'\0')


class IpSets(object):
    """The sets of this network namespace. To be closed."""

    def __init__(self):
        self._netlink = Netlink(NETFILTER)

    def close(self):
        """Close the socket."""
        self._netlink.close()

    def names(self):
        """The sorted names of all sets. Raises NetlinkError."""
        # The members of the sets, tens of thousands, are not asked for.
        only_names = attribute(ATTR_FLAGS | NET_BYTE_ORDER, struct.pack('!I', FLAG_LIST_SETNAME))
        found = self._netlink.dump(nfnetlink.kind(nfnetlink.IPSET, CMD_LIST), question() + only_names, set_name, NLM_F_ACK)
        return sorted(set(found))

    def destroy(self, name):
        """Destroy one set; whether it was there. Raises Busy, NetlinkError."""
        try:
            self._netlink.ask(nfnetlink.kind(nfnetlink.IPSET, CMD_DESTROY), question(name))
        except NetlinkError as error:
            if error.number in (ERR_BUSY, ERR_REFERENCED):
                raise Busy()
            if error.number == errno.ENOENT:
                return False
            raise
        return True
