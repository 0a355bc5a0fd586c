# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the parts of the kernel behind nfnetlink have in common (include/uapi/linux/netfilter/nfnetlink.h).

A question to a part that is not there makes the kernel load a module. Nothing is asked that is not known to be there.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import struct

IPSET, NF_TABLES = 6, 10
IPV4, IPV6 = 2, 10
_HEADER = struct.Struct('=BBH')
HEADER_SIZE = _HEADER.size


def header(family):
    """What every message begins with. family: IPV4 or IPV6."""
    return _HEADER.pack(family, 0, 0)


def kind(subsystem, command):
    """The type of a message."""
    return subsystem << 8 | command


def is_there(node, module):
    """Whether a module of the kernel is loaded or built in. Nothing is loaded by looking."""
    # A module that is built in has a directory only if it has parameters.
    if node.kind('/sys/module/' + module) is not None:
        return True
    release = node.first_line('/proc/sys/kernel/osrelease')
    builtin = node.text('/lib/modules/%s/modules.builtin' % release) if release and '/' not in release else None
    return '/%s.ko' % module in (builtin or '')
