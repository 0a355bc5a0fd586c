# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Netlink: encoding and decoding, and what is made of the kernel's answers, however they come."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import netlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import (
    HEADER,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLMSG_DONE,
    NLMSG_ERROR,
    Netlink,
    NetlinkError,
    attribute,
    attributes,
    messages,
    number,
    text,
)

KIND = 40


class Socket:
    """Answers what it is told to: each entry is bytes, an exception, or [(type, flags, payload)], which gets the question's sequence number."""

    def __init__(self, answers):
        self.answers, self.sent, self.closed = answers, [], 0

    def bind(self, _address):
        pass

    def settimeout(self, _seconds):
        pass

    def close(self):
        self.closed += 1

    def send(self, data):
        self.sent.append(HEADER.unpack_from(data) + (data[HEADER.size :],))

    def recvfrom(self, size):
        assert size >= 32 * 1024
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        sender = 0
        if isinstance(answer, tuple):
            answer, sender = answer
        if isinstance(answer, list):
            answer = b"".join(packed(kind, flags, self.sent[-1][3], payload) for kind, flags, payload in answer)
        return answer, (sender, 0)


def packed(kind, flags, sequence, payload):
    """A message, with what makes its length a multiple of 4."""
    data = netlink.message(kind, flags, sequence, payload)
    return data + b"\0" * (-len(data) % 4)


@pytest.fixture
def kernel(monkeypatch):
    """kernel(answers) -> (Netlink, Socket)."""

    def make(*answers):
        fake = Socket(list(answers))
        monkeypatch.setattr(netlink.socket, "socket", lambda *_words: fake)
        return Netlink(netlink.GENERIC), fake

    return make


DONE = (NLMSG_DONE, 2, struct.pack("=i", 0))
ACK = (NLMSG_ERROR, 0, struct.pack("=i", 0))


def refusal(code):
    """What the kernel says when it refuses."""
    return (NLMSG_ERROR, 0, struct.pack("=i", -code))


class TestAttributes:
    @given(st.lists(st.tuples(st.integers(1, netlink.TYPE_MASK), st.sampled_from([0, netlink.NESTED, netlink.NET_BYTE_ORDER]), st.binary(max_size=200))))
    def test_there_and_back(self, pairs):
        data = b"".join(attribute(kind | mark, payload) for kind, mark, payload in pairs)
        assert len(data) % 4 == 0
        assert attributes(data) == {kind: payload for kind, _mark, payload in pairs}

    @given(st.binary(max_size=300))
    def test_any_bytes(self, data):
        for payload in attributes(data).values():
            assert payload in data

    @given(st.binary(max_size=300))
    def test_any_bytes_as_messages(self, data):
        try:
            assert sum(len(payload) + HEADER.size for *_rest, payload in messages(data)) <= len(data)
        except NetlinkError as error:
            assert str(error) == "the kernel said more than fits"

    def test_what_is_cut_off_is_left_out(self):
        data = attribute(1, b"whole") + attribute(2, b"cut off")
        assert attributes(data[:-8]) == {1: b"whole"}

    def test_too_long(self):
        with pytest.raises(ValueError, match="an attribute of 65536 bytes"):
            attribute(1, b"x" * 65532)

    def test_numbers_and_text(self):
        assert number("!H", b"\x01\xbb") == 443
        assert number("=H", struct.pack("=H", 7) + b"more") == 7
        assert number("=I", b"abc") is None
        assert number("=I", None) is None
        assert text(b"dummy\0\0") == "dummy"
        assert text(b"dummy") == "dummy"
        assert text(None) is None


class TestAsk:
    def test_an_acknowledgement(self, kernel):
        asked, fake = kernel([ACK])
        assert asked.ask(KIND, b"payload") == []
        assert fake.sent == [(HEADER.size + 7, KIND, 5, 1, 0, b"payload")]

    def test_an_answer_before_it(self, kernel):
        asked, _fake = kernel([(KIND, 0, b"four")], [ACK])
        assert asked.ask(KIND, b"") == [b"four"]

    @pytest.mark.parametrize(("code", "sentence"), [(errno.ENODEV, "No such device"), (4100, "error 4100")])
    def test_a_refusal(self, kernel, code, sentence):
        asked, _fake = kernel([refusal(code)])
        with pytest.raises(NetlinkError, match=sentence) as refused:
            asked.ask(KIND, b"")
        assert refused.value.number == code

    def test_answers_to_others_and_from_others_are_left_out(self, kernel):
        asked, fake = kernel((b"nonsense", 99), packed(NLMSG_ERROR, 0, 77, struct.pack("=i", -1)), InterruptedError(errno.EINTR, ""), [ACK])
        assert asked.ask(KIND, b"") == []
        assert not fake.answers

    def test_silence(self, kernel):
        asked, fake = kernel(socket.timeout())
        with pytest.raises(NetlinkError, match="the kernel did not answer within 10 seconds"):
            asked.ask(KIND, b"")
        assert fake.closed

    def test_what_was_lost(self, kernel):
        asked, _fake = kernel(OSError(errno.ENOBUFS, "No buffer space available"))
        with pytest.raises(NetlinkError, match="No buffer space"):
            asked.ask(KIND, b"")

    def test_no_socket(self, monkeypatch):
        def refuse(*_words):
            raise OSError(errno.EPROTONOSUPPORT, "Protocol not supported")

        monkeypatch.setattr(netlink.socket, "socket", refuse)
        with pytest.raises(NetlinkError, match="no netlink socket: Protocol not supported"):
            Netlink(netlink.NETFILTER).ask(KIND, b"")


class TestDump:
    def test_many_parts(self, kernel):
        parts = [[(KIND, 2, struct.pack("=I", part * 100 + index)) for index in range(100)] for part in range(30)]
        asked, fake = kernel(*parts, [DONE])
        found = asked.dump(KIND, b"", lambda payload: number("=I", payload))
        assert found == list(range(3000))
        assert fake.sent[0][2] == NLM_F_DUMP | 1

    def test_what_keep_leaves_out(self, kernel):
        asked, _fake = kernel([(KIND, 2, b"yes!"), (KIND, 2, b"nope"), DONE])
        assert asked.dump(KIND, b"", lambda payload: payload if payload == b"yes!" else None) == [b"yes!"]

    def test_a_list_that_changed_is_asked_for_again(self, kernel):
        asked, fake = kernel([(KIND, 2 | NLM_F_DUMP_INTR, b"half"), DONE], [(KIND, 2, b"full"), DONE])
        assert asked.dump(KIND, b"", bytes) == [b"full"]
        assert [sent[3] for sent in fake.sent] == [1, 2]

    def test_a_mark_at_the_end_counts_too(self, kernel):
        asked, _fake = kernel([(KIND, 2, b"half"), (NLMSG_DONE, 2 | NLM_F_DUMP_INTR, struct.pack("=i", 0))], [DONE])
        assert asked.dump(KIND, b"", bytes) == []

    def test_a_lost_part(self, kernel):
        asked, _fake = kernel([(KIND, 2, b"half")], OSError(errno.ENOBUFS, ""), [(KIND, 2, b"full"), DONE])
        assert asked.dump(KIND, b"", bytes) == [b"full"]

    def test_a_list_that_never_rests(self, kernel):
        asked, _fake = kernel(*[[(NLMSG_DONE, NLM_F_DUMP_INTR, struct.pack("=i", 0))]] * netlink.TRIES)
        with pytest.raises(NetlinkError, match="it changes all the time"):
            asked.dump(KIND, b"", bytes)

    @pytest.mark.parametrize("kind", [NLMSG_ERROR, NLMSG_DONE])
    def test_a_refusal(self, kernel, kind):
        asked, _fake = kernel([(kind, 0, struct.pack("=i", -errno.EPERM))])
        with pytest.raises(NetlinkError, match="Operation not permitted"):
            asked.dump(KIND, b"", bytes)

    def test_cut_off(self, kernel):
        asked, _fake = kernel(packed(KIND, 2, 1, b"x" * 100)[:-20])
        with pytest.raises(NetlinkError, match="more than fits"):
            asked.dump(KIND, b"", bytes)
