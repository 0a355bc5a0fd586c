# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Netlink: messages with attributes to and from the kernel, over a socket (netlink(7), include/uapi/linux/netlink.h).

The kernel takes lengths and numbers in the byte order of the machine, and the few that are in network order say so in their own formats.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import os
import socket
import struct

AF_NETLINK = 16
ROUTE, NETFILTER, GENERIC = 0, 12, 16
NLMSG_ERROR, NLMSG_DONE, NLMSG_MIN_TYPE = 2, 3, 16
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x4, 0x300, 0x10
# Two bits of an attribute's type say something else.
NESTED, NET_BYTE_ORDER, TYPE_MASK = 0x8000, 0x4000, 0x3FFF
HEADER = struct.Struct('=IHHII')
ATTRIBUTE = struct.Struct('=HH')
LONGEST_ATTRIBUTE = 0xFFFF
# The kernel fills at most 32 KiB at once.
BUFFER = 128 * 1024
# How often a list is asked for again that has changed while it was told, or of which a part was lost.
TRIES = 8
SECONDS = 10


class NetlinkError(Exception):
    """The kernel refused; the text is why. number: its errno, above 4095 a number of its own; None if it did not answer."""

    def __init__(self, sentence, number=None):
        Exception.__init__(self, sentence)
        self.number = number


class _Interrupted(Exception):
    """What was told of a list is worth nothing."""


def _aligned(length):
    return (length + 3) & ~3


def attribute(kind, payload):
    """One attribute as bytes. kind: its type, with NESTED or NET_BYTE_ORDER. payload: bytes."""
    length = ATTRIBUTE.size + len(payload)
    if length > LONGEST_ATTRIBUTE:
        raise ValueError('an attribute of %d bytes' % length)
    return ATTRIBUTE.pack(length, kind) + payload + b'\0' * (_aligned(length) - length)


def attributes(data):
    """{type: bytes} of the attributes in DATA, the last of each type, without the two bits. What is cut off at the end is left out."""
    found, position = {}, 0
    while position + ATTRIBUTE.size <= len(data):
        length, kind = ATTRIBUTE.unpack_from(data, position)
        if length < ATTRIBUTE.size or position + length > len(data):
            break
        found[kind & TYPE_MASK] = data[position + ATTRIBUTE.size : position + length]
        position += _aligned(length)
    return found


def number(layout, data):
    """The number that begins DATA in the format LAYOUT of struct, None if there are too few bytes or none."""
    size = struct.calcsize(layout)
    return None if data is None or len(data) < size else struct.unpack(layout, data[:size])[0]


def text(data):
    """The text in DATA, which ends with a zero byte or with DATA. None for None."""
    return None if data is None else data.split(b'\0', 1)[0].decode('utf-8', 'replace')


def message(kind, flags, sequence, payload):
    """One message as bytes."""
    return HEADER.pack(HEADER.size + len(payload), kind, flags, sequence, 0) + payload


def messages(data):
    """Each (type, flags, sequence, payload) of what arrived at once. Raises NetlinkError if it is cut off."""
    position = 0
    while position + HEADER.size <= len(data):
        length, kind, flags, sequence, dummy = HEADER.unpack_from(data, position)
        if length < HEADER.size or position + length > len(data):
            raise NetlinkError('the kernel said more than fits')
        yield kind, flags, sequence, data[position + HEADER.size : position + length]
        position += _aligned(length)


def _reason(code):
    return os.strerror(code) if code < 4096 else 'error %d' % code


def _check(payload):
    """Raise NetlinkError if PAYLOAD, of a message of the type NLMSG_ERROR or NLMSG_DONE, begins with a number other than 0."""
    code = number('=i', payload)
    if code:
        raise NetlinkError(_reason(abs(code)), abs(code))


class Netlink(object):
    """A socket to one part of the kernel. protocol: ROUTE, NETFILTER, GENERIC. To be closed."""

    def __init__(self, protocol, seconds=SECONDS):
        self._protocol, self._seconds = protocol, seconds
        self._sequence = 0
        self._socket = None

    def _open(self):
        if self._socket is None:
            try:
                self._socket = socket.socket(AF_NETLINK, socket.SOCK_RAW, self._protocol)
                self._socket.bind((0, 0))
                self._socket.settimeout(self._seconds)
            except (socket.error, OSError) as error:
                self.close()
                raise NetlinkError('no netlink socket: %s' % (error.strerror or error), error.errno)
        return self._socket

    def close(self):
        """Close it. The next question opens a new one."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self, kind, flags, payload):
        self._sequence += 1
        data = message(kind, flags | NLM_F_REQUEST, self._sequence, payload)
        while True:
            try:
                self._open().send(data)
                return
            except (socket.error, OSError) as error:
                if error.errno != errno.EINTR:
                    self.close()
                    raise NetlinkError(error.strerror or str(error), error.errno)

    def _receive(self):
        """What arrives next from the kernel, as bytes. Raises NetlinkError, _Interrupted if something was lost."""
        while True:
            try:
                data, sender = self._socket.recvfrom(BUFFER)
            except socket.timeout:
                self.close()
                raise NetlinkError('the kernel did not answer within %d seconds' % self._seconds)
            except (socket.error, OSError) as error:
                if error.errno == errno.EINTR:
                    continue
                self.close()
                if error.errno == errno.ENOBUFS:
                    raise _Interrupted()
                raise NetlinkError(error.strerror or str(error), error.errno)
            # Other programs can write to this socket too.
            if sender[0] == 0:
                return data

    def _answers(self):
        """Each (type, flags, payload) that belongs to the last question."""
        while True:
            for kind, flags, sequence, payload in messages(self._receive()):
                if sequence == self._sequence:
                    yield kind, flags, payload

    def ask(self, kind, payload, flags=NLM_F_ACK):
        """Have something done, or ask for one thing: the payloads of the answers before the acknowledgement. Raises NetlinkError."""
        self._send(kind, flags, payload)
        found = []
        try:
            for answer, dummy, content in self._answers():
                if answer == NLMSG_ERROR:
                    _check(content)
                    break
                if answer >= NLMSG_MIN_TYPE:
                    found.append(content)
        except _Interrupted:
            raise NetlinkError(_reason(errno.ENOBUFS), errno.ENOBUFS)
        return found

    def dump(self, kind, payload, keep, flags=0):
        """All of a list: what KEEP makes of each payload, without None. Raises NetlinkError.

        A list that changed while it was told is asked for again: something may be missing in it, or be there twice.
        """
        for dummy in range(TRIES):
            try:
                return self._dump(kind, payload, keep, flags)
            except _Interrupted:
                self.close()
        raise NetlinkError('it changes all the time, and was not read whole in %d tries' % TRIES)

    def _dump(self, kind, payload, keep, flags):
        self._send(kind, flags | NLM_F_DUMP, payload)
        found, interrupted = [], False
        for answer, marks, content in self._answers():
            interrupted = interrupted or marks & NLM_F_DUMP_INTR
            if answer == NLMSG_ERROR:
                _check(content)
                # An acknowledgement instead of a list: there is none.
                break
            if answer == NLMSG_DONE:
                _check(content)
                break
            if answer >= NLMSG_MIN_TYPE:
                one = keep(content)
                if one is not None:
                    found.append(one)
        if interrupted:
            raise _Interrupted()
        return found
