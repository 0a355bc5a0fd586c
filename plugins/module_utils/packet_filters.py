# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of a node that show and change packet filters: which nft, and which variants of iptables."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import posixpath
import re

from ansible.module_utils.common.text.converters import to_text

DIRECTORIES = ('/usr/sbin', '/sbin', '/usr/local/sbin', '/usr/bin', '/bin')
VARIANTS = ('legacy', 'nft')
MAXIMUM_LINKS = 10
SECONDS = '5'
_VERSION = re.compile(r'nftables v?(\d+(?:\.\d+)+)')


def _leads_to(node, path):
    """The last name that a chain of links leads to."""
    for dummy in range(MAXIMUM_LINKS):
        target = node.link(path)
        if target is None:
            break
        path = posixpath.normpath(posixpath.join(posixpath.dirname(path), to_text(target, errors='replace')))
    return posixpath.basename(path)


def _variant_of(name):
    """The variant that a name such as xtables-nft-multi tells, or None."""
    for variant in VARIANTS:
        if variant in name.split('-'):
            return variant
    return None


def iptables_variants(node):
    """The variants of iptables on the node, that of the plain name iptables first; null if there is none, or nobody can tell."""
    found = []
    for directory in DIRECTORIES:
        if node.kind(directory + '/iptables') is not None:
            found.append(_variant_of(_leads_to(node, directory + '/iptables')))
    found += [variant for variant in VARIANTS for directory in DIRECTORIES if node.kind('%s/iptables-%s' % (directory, variant)) is not None]
    named = [variant for position, variant in enumerate(found) if variant and variant not in found[:position]]
    return named or None


def nft_version(node, run_command, find_program):
    """The version of nft on the node, null without one. run_command and find_program: as AnsibleModule has them."""
    nft, timeout = (find_program(name) for name in ('nft', 'timeout')) if node.live and run_command else (None, None)
    # Without a limit a program that hangs would hold up everything.
    if not nft or not timeout:
        return None
    code, output, dummy = run_command([timeout, SECONDS, nft, '--version'])
    found = _VERSION.search(to_text(output or '', errors='replace'))
    return found.group(1) if code == 0 and found else None
