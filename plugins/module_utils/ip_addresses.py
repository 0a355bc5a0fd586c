# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Addresses as the kernel writes them in /proc/net/ip_vs and its like."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re
import socket

_HEX4 = re.compile(r'^[0-9A-Fa-f]{8}$')


def parse_address(text):
    """'0A600001' -> '10.96.0.1'; '[fd00:0000:...:0001]' -> 'fd00::1'; None for anything else."""
    if _HEX4.match(text):
        number = int(text, 16)
        return '%d.%d.%d.%d' % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255)
    if text.startswith('[') and text.endswith(']'):
        try:
            return socket.inet_ntop(socket.AF_INET6, socket.inet_pton(socket.AF_INET6, text[1:-1]))
        except (AttributeError, socket.error, ValueError):
            return None
    return None


def parse_endpoint(text):
    """'0A600001:01BB' -> ('10.96.0.1', 443); None if it is none."""
    host, separator, port = text.rpartition(':')
    address = parse_address(host) if separator else None
    try:
        return None if address is None else (address, int(port, 16))
    except ValueError:
        return None


def join_endpoint(address, port):
    """'10.96.0.1:443', '[fd00::1]:443'."""
    return ('[%s]:%d' if ':' in address else '%s:%d') % (address, port)


def address_bytes(text):
    """An IPv4 or IPv6 address in network order, or None."""
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text)
        except (socket.error, ValueError, UnicodeError):
            continue
    return None


def in_cidr(address, cidr):
    """Whether ADDRESS (text) lies in CIDR ('10.0.0.0/8'; without a length: the address itself)."""
    base, dummy, length = cidr.strip().partition('/')
    inner, outer = address_bytes(address), address_bytes(base)
    if inner is None or outer is None or len(inner) != len(outer):
        return False
    bits = int(length) if length.isdigit() else len(inner) * 8
    number = [int(''.join('%02x' % byte for byte in bytearray(data)), 16) for data in (inner, outer)]
    shift = max(len(inner) * 8 - bits, 0)
    return number[0] >> shift == number[1] >> shift
