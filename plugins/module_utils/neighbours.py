# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What else runs on a node that has services of its own in IPVS, or that works differently in another mode of kube-proxy."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_pods import KUBELET_CONFIGS, MANIFEST_DIRECTORIES
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_yaml import read_yaml
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import CMDLINE_LIMIT, COMM_LENGTH, INTERPRETERS, NUMBER
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse_documents

# ipvs: may keep services of its own in IPVS; mode: does something else in another mode; replaces: can stand in for kube-proxy.
IPVS, MODE, REPLACES = 'ipvs', 'mode', 'replaces'
# {program: (name, kind)}
PROGRAMS = {
    'kube-router': ('kube-router', IPVS),
    'lvscare': ('lvscare', IPVS),
    'keepalived': ('keepalived', IPVS),
    'ldirectord': ('ldirectord', IPVS),
    'kube-vip': ('kube-vip', IPVS),
    # Felix, in a program of its own and as a part of calico-node.
    'calico-felix': ('calico-node', MODE),
    'calico-node': ('calico-node', MODE),
    # node-local-dns
    'node-cache': ('node-cache', MODE),
    # MetalLB
    'speaker': ('speaker', MODE),
    'cilium-agent': ('cilium-agent', REPLACES),
    'antrea-agent': ('antrea-agent', REPLACES),
}
# What a program of this name must have among its arguments to be the one that is meant.
ARGUMENTS = {
    # calico-node has several parts in one program; those that watch and report do not look at the mode.
    'calico-node': re.compile(r'^--?felix$'),
    # A word that other programs may be called by, too: MetalLB gives its speaker this.
    'speaker': re.compile(r'^--(?:ml-.*|port=.*|config|log-level=.*|lb-class=.*)$'),
}
# Images of static pods, by the last part of their names without tag and digest.
IMAGES = ('kube-router', 'lvscare', 'keepalived', 'kube-vip')
_COMMANDS = dict((name[:COMM_LENGTH], name) for name in PROGRAMS)
MAXIMUM = 50


def _program(argv):
    words = [word for word in argv if word]
    # A script is known by its own name, not by that of its interpreter.
    if len(words) > 1 and os.path.basename(words[0]) in INTERPRETERS:
        words = [word for word in words[1:] if word.startswith('/')][:1] if '-c' not in words else []
    return os.path.basename(words[0].split(' ')[0].rstrip(':')) if words else None


def _neighbour(name, kind, pid, path):
    return {'name': name, 'kind': kind, 'pid': pid, 'path': path}


def read_running(node):
    """The neighbours that run: [{name, kind, pid, path of the program}], one entry for each program."""
    found = {}
    for pid in sorted((name for name in node.names('/proc') or [] if NUMBER.match(name)), key=int):
        command = node.first_line('/proc/%s/comm' % pid)
        data = node.read('/proc/%s/cmdline' % pid, CMDLINE_LIMIT)
        argv = to_text(data, errors='replace').split('\0') if data else []
        if not argv:
            continue
        name = _program(argv)
        program = name if name in PROGRAMS else _COMMANDS.get(command)
        if program is None or (program in ARGUMENTS and not any(ARGUMENTS[program].match(word) for word in argv[1:])):
            continue
        path = node.link('/proc/%s/exe' % pid)
        found.setdefault(PROGRAMS[program][0], _neighbour(PROGRAMS[program][0], PROGRAMS[program][1], int(pid), to_text(path or argv[0], errors='replace')))
    return [found[name] for name in sorted(found)][:MAXIMUM]


def _image_name(image):
    return image.partition('@')[0].rpartition('/')[2].partition(':')[0]


def _containers(document):
    spec = document.get('spec') if isinstance(document, dict) and document.get('kind') == 'Pod' else None
    listed = spec.get('containers') if isinstance(spec, dict) else None
    return [entry for entry in listed if isinstance(entry, dict)] if isinstance(listed, list) else []


def read_static_pods(node):
    """The neighbours that a manifest on the node starts: [{name, kind, pid null, path of the manifest}]."""
    directories = list(MANIFEST_DIRECTORIES)
    for path in KUBELET_CONFIGS:
        static = (read_yaml(node, path) or {}).get('staticPodPath')
        if hasattr(static, 'strip') and static.rstrip('/') not in directories:
            directories.append(static.rstrip('/'))
    found = {}
    for directory in directories:
        for name in node.names(directory) or []:
            path = directory + '/' + name
            text = node.text(path) if not name.startswith('.') else None
            if not text or not any(image in text for image in IMAGES):
                continue
            try:
                documents = parse_documents(text)
            except YamlError as error:
                node.report(path, 'not understood: %s' % error)
                continue
            for container in [container for document in documents for container in _containers(document)]:
                image = container.get('image')
                known = _image_name(image) if hasattr(image, 'strip') else None
                if known in IMAGES:
                    found.setdefault(known, _neighbour(known, PROGRAMS[known][1], None, path))
    return [found[name] for name in sorted(found)]


def read_neighbours(node):
    """All of them, each once: one that runs, else the manifest that starts it."""
    running = read_running(node)
    names = set(entry['name'] for entry in running)
    return running + [entry for entry in read_static_pods(node) if entry['name'] not in names]
