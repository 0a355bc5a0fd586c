# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The names of the chains in nf_tables (nfnetlink, include/uapi/linux/netfilter/nf_tables.h).

The nft variant of iptables makes the tables that it is asked to show. Here it is seen what there is, without making anything.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import nfnetlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NETFILTER, Netlink, attributes, text

MSG_GETCHAIN, ATTR_TABLE, ATTR_NAME = 4, 1, 3


def table_and_chain(payload):
    """(table, chain) in the payload of a message, None if there is none."""
    found = attributes(payload[nfnetlink.HEADER_SIZE :])
    names = text(found.get(ATTR_TABLE)), text(found.get(ATTR_NAME))
    return None if None in names else names


def chains(family):
    """[(table, chain)] of one family, nfnetlink.IPV4 or IPV6. Raises NetlinkError."""
    netlink = Netlink(NETFILTER)
    try:
        return netlink.dump(nfnetlink.kind(nfnetlink.NF_TABLES, MSG_GETCHAIN), nfnetlink.header(family), table_and_chain)
    finally:
        netlink.close()
