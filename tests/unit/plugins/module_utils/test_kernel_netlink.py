# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""IPVS services, IP sets, interfaces and chains of nf_tables in the words of the kernel."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import ipset_netlink, ipvs_netlink, link_netlink, nf_tables_netlink, nfnetlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_netlink import GENL_HEADER, IpvsServices, Service
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_netlink import decode_service, encode_service, protocol_name
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NESTED, NetlinkError, attribute, attributes

IPV4 = Service(socket.AF_INET, 6, "10.96.0.1", 443, 0, 0xFFFFFFFF)
IPV6 = Service(socket.AF_INET6, 17, "fd00::1", 53, 0, 128)
MARK = Service(socket.AF_INET, None, None, None, 7, 0xFFFFFFFF)
NUMBERS = st.integers(0, 0xFFFF)


def told(service, *more):
    """The payload in which the kernel tells of a service, as encode_service names it, with further attributes."""
    inner = attributes(encode_service(service))[ipvs_netlink.CMD_ATTR_SERVICE]
    if service.netmask is not None:
        inner += attribute(ipvs_netlink.SVC_ATTR_NETMASK, struct.pack("=I", service.netmask))
    return GENL_HEADER.pack(1, 1, 0) + attribute(ipvs_netlink.CMD_ATTR_SERVICE | NESTED, b"".join(more) + inner)


class Asked:
    """In place of a Netlink: dump() gives what it was told of a type, ask() raises or answers what it was told."""

    def __init__(self, lists=None, answers=()):
        self.lists, self.answers, self.questions, self.closed = lists or {}, iter(answers), [], False

    def dump(self, kind, payload, keep, flags=0):
        self.questions.append((kind, payload, flags))
        return [one for one in map(keep, self.lists.get(kind, [])) if one is not None]

    def ask(self, kind, payload):
        self.questions.append((kind, payload))
        answer = next(self.answers, [])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def close(self):
        self.closed = True


@pytest.fixture
def asked(monkeypatch):
    """asked(module, lists, answers) -> Asked, which that module asks."""

    def make(module, lists=None, answers=()):
        fake = Asked(lists, answers)
        monkeypatch.setattr(module, "Netlink", lambda _protocol: fake)
        return fake

    return make


def family(name, number):
    """The payload in which the kernel tells of a family of generic netlink."""
    return GENL_HEADER.pack(1, 2, 0) + attribute(2, name.encode() + b"\0") + attribute(1, struct.pack("=H", number))


class TestServices:
    @pytest.mark.parametrize("service", [IPV4, IPV6, MARK])
    def test_there_and_back(self, service):
        assert decode_service(told(service)) == service

    @given(st.ip_addresses(), NUMBERS, NUMBERS, st.binary(max_size=40))
    def test_any_service_and_unknown_attributes(self, address, protocol, port, unknown):
        service = Service(socket.AF_INET if address.version == 4 else socket.AF_INET6, protocol, str(address), port, 0, None)
        found = decode_service(told(service, attribute(1000, unknown)))
        assert found._replace(address=None) == service._replace(address=None)
        assert socket.inet_pton(found.family, found.address) == address.packed

    @given(st.binary(max_size=200))
    def test_any_bytes(self, data):
        decode_service(data)
        found = decode_service(GENL_HEADER.pack(1, 1, 0) + attribute(1, data))
        assert found is None or isinstance(found, Service)

    def test_as_the_kernel_takes_it(self):
        inner = attributes(attributes(encode_service(IPV4))[1])
        assert inner[1] == struct.pack("=H", socket.AF_INET)
        assert inner[3] == bytes([10, 96, 0, 1]) + bytes(12)
        assert inner[4] == b"\x01\xbb"
        assert attributes(attributes(encode_service(MARK))[1]).keys() == {1, 5}

    def test_names_of_protocols(self):
        services = [IPV4, IPV6, IPV4._replace(protocol=132), IPV4._replace(protocol=99), MARK]
        assert [protocol_name(service) for service in services] == ["TCP", "UDP", "SCTP", "99", "FWM"]

    def test_without_ipvs_nothing_is_asked_by_name(self, asked):
        fake = asked(ipvs_netlink, {16: [family("nlctrl", 16)]})
        table = IpvsServices()
        assert not table.is_there()
        assert table.services() == []
        assert table.delete(IPV4) is False
        assert all(b"IPVS" not in payload for _kind, payload, _flags in fake.questions)

    def test_list_and_delete(self, asked):
        lists = {16: [family("nlctrl", 16), family("IPVS", 31)], 31: [told(IPV4), told(MARK), b"????"]}
        fake = asked(ipvs_netlink, lists, [[], NetlinkError("gone", errno.ESRCH)])
        table = IpvsServices()
        assert table.services() == [IPV4, MARK]
        assert table.delete(IPV4) is True
        assert table.delete(IPV4) is False
        assert fake.questions[-1] == (31, GENL_HEADER.pack(3, 1, 0) + encode_service(IPV4))
        table.close()
        assert fake.closed

    def test_a_refusal(self, asked):
        asked(ipvs_netlink, {16: [family("IPVS", 31)]}, [NetlinkError("Operation not permitted", errno.EPERM)])
        with pytest.raises(NetlinkError):
            IpvsServices().delete(IPV4)


class TestSets:
    def message(self, name):
        return nfnetlink.header(2) + attribute(1, b"\6") + attribute(2, name.encode() + b"\0")

    def test_names_alone_are_asked_for(self, asked):
        kind = nfnetlink.kind(nfnetlink.IPSET, 7)
        assert kind == 0x607
        fake = asked(ipset_netlink, {kind: [self.message("KUBE-B"), self.message("A"), nfnetlink.header(2)]})
        assert ipset_netlink.IpSets().names() == ["A", "KUBE-B"]
        assert attributes(fake.questions[0][1][4:]) == {1: b"\6", 6: b"\0\0\0\2"}

    def test_destroy(self, asked):
        fake = asked(ipset_netlink, {}, [[], NetlinkError("", errno.ENOENT), NetlinkError("", 4100), NetlinkError("", 4108), NetlinkError("", errno.EPERM)])
        sets = ipset_netlink.IpSets()
        assert sets.destroy("KUBE-CLUSTER-IP") is True
        assert fake.questions == [(0x603, self.message("KUBE-CLUSTER-IP"))]
        assert sets.destroy("KUBE-CLUSTER-IP") is False
        for dummy in range(2):
            with pytest.raises(ipset_netlink.Busy):
                sets.destroy("KUBE-CLUSTER-IP")
        with pytest.raises(NetlinkError):
            sets.destroy("KUBE-CLUSTER-IP")


class TestLinks:
    def message(self, name, index, kind):
        info = attribute(18 | NESTED, attribute(1, kind.encode() + b"\0")) if kind else b""
        return link_netlink.HEADER.pack(0, 0, 1, index, 0, 0) + attribute(3, name.encode() + b"\0") + info

    def test_find(self, asked):
        fake = asked(link_netlink, {}, [[self.message("kube-ipvs0", 10, "dummy")]])
        assert link_netlink.find_link("kube-ipvs0") == ("kube-ipvs0", 10, "dummy")
        assert fake.questions[0][0] == 18
        assert fake.closed

    @pytest.mark.parametrize(("answer", "found"), [(NetlinkError("", errno.ENODEV), None), ([], None)])
    def test_there_is_none(self, asked, answer, found):
        asked(link_netlink, {}, [answer])
        assert link_netlink.find_link("kube-ipvs0") is found

    def test_loopback_has_no_kind(self):
        assert link_netlink.decode_link(self.message("lo", 1, None)) == ("lo", 1, None)

    def test_this_machine_has_loopback(self):
        assert link_netlink.find_link("lo") == ("lo", 1, None)
        assert link_netlink.find_link("kubeproxy-none") is None

    def test_delete(self, asked):
        link = link_netlink.Link("kube-ipvs0", 10, "dummy")
        fake = asked(link_netlink, {}, [[], NetlinkError("", errno.ENODEV), NetlinkError("no", errno.EPERM)])
        assert link_netlink.delete_link(link) is True
        assert fake.questions == [(17, link_netlink.HEADER.pack(0, 0, 0, 10, 0, 0))]
        assert link_netlink.delete_link(link) is False
        with pytest.raises(NetlinkError):
            link_netlink.delete_link(link)


class TestNfTables:
    def test_chains(self, asked):
        message = nfnetlink.header(2) + attribute(1, b"nat\0") + attribute(3, b"KUBE-SERVICES\0")
        fake = asked(nf_tables_netlink, {0xA04: [message, nfnetlink.header(2) + attribute(1, b"nat\0")]})
        assert nf_tables_netlink.chains(nfnetlink.IPV4) == [("nat", "KUBE-SERVICES")]
        assert fake.closed

    @pytest.mark.parametrize(
        ("files", "there"),
        [
            ({"/sys/module/nf_tables/refcnt": "1"}, True),
            ({"/proc/sys/kernel/osrelease": "6.1\n", "/lib/modules/6.1/modules.builtin": "kernel/net/netfilter/nf_tables.ko\n"}, True),
            ({"/proc/sys/kernel/osrelease": "6.1\n", "/lib/modules/6.1/modules.builtin": "kernel/net/netfilter/x_nf_tables.ko.no\n"}, False),
            ({"/proc/sys/kernel/osrelease": "../6.1\n"}, False),
            ({}, False),
        ],
    )
    def test_whether_it_is_there_is_seen_without_asking(self, tree, files, there):
        assert nfnetlink.is_there(tree(files), "nf_tables") is there
