# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files in which the arguments of kube-proxy stand alone: those of snaps, and of CCE."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_arguments import Arguments
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_yaml import is_unreadable

CHARMED_UNIT, CHARMED_ARGUMENTS = 'snap.kube-proxy.daemon.service', '/var/snap/kube-proxy/current/args'
MICROK8S_ARGUMENTS = '/var/snap/microk8s/current/args/kube-proxy'
CCE_FLAGS = '/opt/cloud/cce/kubernetes/kube-proxy/kube-proxy'


def vendor_arguments(node, unit):
    """The Arguments of units that do not name them: a snap's wrapper and CCE read them from a file of their own. None for other units."""
    if unit.name == CHARMED_UNIT:
        return snap_arguments(node, CHARMED_ARGUMENTS)
    text = node.text(CCE_FLAGS)
    return None if text is None else Arguments(re.findall(r'--[^\s"\']+', text), CCE_FLAGS, 'argument_file')


def snap_arguments(node, path):
    """The Arguments in a file of a snap: quotes dropped, divided at blanks."""
    text = node.text(path)
    if text is None:
        return Arguments(None, path if is_unreadable(node, path) else None)
    data = path.rpartition('/args')[0]
    words = []
    for line in text.split('\n'):
        if not line.lstrip().startswith('#'):
            words.extend(line.replace('"', '').replace("'", '').split())
    return Arguments([re.sub(r'\$(?:SNAP_DATA\b|\{SNAP_DATA\})', lambda match: data, word) for word in words], path, 'argument_file')


def microk8s_arguments(node, argv):
    """The Arguments of the kube-proxy inside kubelite."""
    path = MICROK8S_ARGUMENTS
    for position, word in enumerate(argv):
        if word == '--proxy-args-file' and position + 1 < len(argv):
            path = argv[position + 1]
        elif word.startswith('--proxy-args-file='):
            path = word.partition('=')[2]
    found = snap_arguments(node, path)
    return found if found.words is not None or path == MICROK8S_ARGUMENTS else snap_arguments(node, MICROK8S_ARGUMENTS)
