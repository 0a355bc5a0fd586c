# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Have conntrack track in a network namespace in which nothing asks for it, and see what it and IPVS remember there.

Older kernels track everywhere. From 4.10 on something in the namespace has to ask for it: on a node it is kube-proxy's MASQUERADE rule. Here it is one of

* an IPVS service for FTP, for which IPVS itself asks (netfilter commit 7e0b2b57f01d): no rule and no further module;
* a rule of nf_tables that looks at the state of packets, where the modules for that are there already.

Nothing is taken for granted: the entries of conntrack in the namespace are counted.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re
import socket
import struct

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import nfnetlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import (
    NESTED,
    NETFILTER,
    NLM_F_ACK,
    NLM_F_REQUEST,
    NLMSG_ERROR,
    Netlink,
    NetlinkError,
    attribute,
    message,
    messages,
    number,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_services import tcp_service

FTP_PORT = 21
COUNT = '/proc/sys/net/netfilter/nf_conntrack_count'
IPVS_ENTRIES = '/proc/self/net/ip_vs_conn'
CONNTRACK_ENTRIES = '/proc/self/net/nf_conntrack'

NLM_F_CREATE, NLM_F_APPEND = 0x400, 0x800
BATCH_BEGIN, BATCH_END = 16, 17
NEWTABLE, NEWCHAIN, NEWRULE = 0, 3, 6
TABLE_NAME = 1
CHAIN_TABLE, CHAIN_NAME, CHAIN_HOOK, CHAIN_TYPE = 1, 3, 4, 7
HOOK_NUMBER, HOOK_PRIORITY = 1, 2
RULE_TABLE, RULE_CHAIN, RULE_EXPRESSIONS = 1, 2, 4
LIST_ELEMENT, EXPRESSION_NAME, EXPRESSION_DATA = 1, 1, 2
CT_REGISTER, CT_KEY = 1, 2
LOCAL_IN, FIRST_REGISTER, STATE = 1, 1, 0
NAME = b'probe\0'
# The sequence of the rule in a batch.
RULE = 4


def _big(value):
    return struct.pack('!I', value)


def encode_batch():
    """The messages that make a table, a chain and a rule that asks for the state of packets, each as bytes."""
    begin = struct.pack('=BB', 0, 0) + struct.pack('!H', nfnetlink.NF_TABLES)
    header = nfnetlink.header(nfnetlink.IPV4)
    hook = attribute(HOOK_NUMBER, _big(LOCAL_IN)) + attribute(HOOK_PRIORITY, _big(0))
    chain = attribute(CHAIN_TABLE, NAME) + attribute(CHAIN_NAME, NAME) + attribute(CHAIN_HOOK | NESTED, hook) + attribute(CHAIN_TYPE, b'filter\0')
    data = attribute(CT_REGISTER, _big(FIRST_REGISTER)) + attribute(CT_KEY, _big(STATE))
    expression = attribute(EXPRESSION_NAME, b'ct\0') + attribute(EXPRESSION_DATA | NESTED, data)
    expressions = attribute(RULE_EXPRESSIONS | NESTED, attribute(LIST_ELEMENT | NESTED, expression))
    rule = attribute(RULE_TABLE, NAME) + attribute(RULE_CHAIN, NAME) + expressions
    wanted = NLM_F_REQUEST | NLM_F_CREATE
    parts = (
        (BATCH_BEGIN, NLM_F_REQUEST, begin),
        (nfnetlink.kind(nfnetlink.NF_TABLES, NEWTABLE), wanted, header + attribute(TABLE_NAME, NAME)),
        (nfnetlink.kind(nfnetlink.NF_TABLES, NEWCHAIN), wanted, header + chain),
        (nfnetlink.kind(nfnetlink.NF_TABLES, NEWRULE), wanted | NLM_F_APPEND | NLM_F_ACK, header + rule),
        (BATCH_END, NLM_F_REQUEST, begin),
    )
    return [message(kind, flags, sequence, payload) for sequence, (kind, flags, payload) in enumerate(parts, 1)]


class _Batches(Netlink):
    """The kernel takes what is made in nf_tables only as a whole."""

    def ask_all(self, parts, last):
        """Have the messages PARTS done; the one with the sequence LAST is acknowledged. Raises NetlinkError."""
        try:
            self._open().send(b''.join(parts))
        except (socket.error, OSError) as error:
            raise NetlinkError(error.strerror or str(error), error.errno)
        while True:
            for kind, dummy, sequence, payload in messages(self._receive()):
                code = number('=i', payload) if kind == NLMSG_ERROR else None
                if code:
                    raise NetlinkError(os.strerror(abs(code)), abs(code))
                if code == 0 and sequence == last:
                    return


def ask_by_rule():
    """Make that rule in this namespace. Raises NetlinkError."""
    netlink = _Batches(NETFILTER)
    try:
        netlink.ask_all(encode_batch(), RULE)
    finally:
        netlink.close()


def ask_by_service(services, address, destination):
    """Have the ProbeServices of a namespace ask for it. Nothing ever connects to this service. Raises NetlinkError."""
    service = tcp_service(address, FTP_PORT)
    services.add(service)
    services.add_destination(service, destination, FTP_PORT)


def read(path):
    """The text of a file of the kernel, None if it cannot be read."""
    try:
        with open(path) as handle:
            return handle.read()
    except (IOError, OSError):
        return None


def entry_count():
    """How many entries conntrack has in this namespace, None if it does not say."""
    words = (read(COUNT) or '').split()
    return int(words[0]) if words and words[0].isdigit() else None


def ipvs_states(text):
    """{(port of the service, port of the client): state} in the text of ip_vs_conn."""
    found = re.findall(r'^TCP +[^ \n]+ +([0-9A-F]{4}) +[^ \n]+ +([0-9A-F]{4}) +[^ \n]+ +[^ \n]+ +([A-Z_]+)', text, re.MULTILINE)
    return dict(((int(service, 16), int(client, 16)), state) for client, service, state in found)


def conntrack_states(text):
    """The same in the text of nf_conntrack, by the direction in which the connections were opened."""
    found = re.findall(r'^ipv4 .*?tcp +6 +\d+ +([A-Z_]+) src=\S+ dst=\S+ sport=(\d+) dport=(\d+)', text, re.MULTILINE)
    return dict(((int(service), int(client)), state) for state, client, service in found)
