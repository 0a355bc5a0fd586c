# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where k3s and RKE2 have the arguments of kube-proxy."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_arguments import RANCHER_DIRECTORY, Arguments, is_open, k3s_command
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_yaml import read_yaml
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import K3S_WITH_KUBE_PROXY
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import split_command
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.unit_commands import command_of, environment_of

K3S_CONFIG, RKE2_CONFIG = '/etc/rancher/k3s/config.yaml', '/etc/rancher/rke2/config.yaml'
# What k3s and RKE2 give kube-proxy themselves (k3s-io/k3s pkg/daemons/agent).
RANCHER_FLAGS = ('--proxy-mode=iptables', '--healthz-bind-address=127.0.0.1')


def rancher_settings(node, path):
    """A Rancher config.yaml and its directory as one map: a later file replaces a key, `key+` adds to it. None if one cannot be read."""
    found = {}
    names = node.names(path + '.d')
    for source in [path] + [path + '.d/' + name for name in names or [] if name.endswith(('.yaml', '.yml'))]:
        document = read_yaml(node, source)
        if document is None or names is None:
            return None
        for key, value in document.items():
            if hasattr(key, 'endswith') and key.endswith('+'):
                found[key[:-1]] = _listed(found.get(key[:-1])) + _listed(value)
            else:
                found[key] = value
    return found


def _listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_true(value):
    return to_text(value).lower() in ('true', '1', 't')


def _rancher_command(words):
    """(kube-proxy-arg of a command line, {other flag: its last value})."""
    arguments, flags = [], {}
    for position, word in enumerate(words):
        name, separator, value = word.partition('=')
        if name in ('--kube-proxy-arg', '--config', '-c') and not separator:
            value = words[position + 1] if position + 1 < len(words) else ''
        if name == '--kube-proxy-arg':
            arguments.append(value)
        elif name.startswith('-'):
            flags[{'-c': 'config'}.get(name, name.lstrip('-'))] = value if separator or value else 'true'
    return arguments, flags


def _openrc_command(node):
    """The words with which OpenRC starts k3s, [] without OpenRC."""
    for name in node.names('/etc/init.d') or []:
        if not name.startswith('k3s'):
            continue
        found = re.search(r'command_args="((?:[^"\\]|\\.|\\\n)*)"', node.text('/etc/init.d/' + name) or '')
        if found:
            return ['k3s'] + split_command(found.group(1).replace('\\\n', ' ').partition('>>')[0])
    return []


def _command(node, unit):
    """The words of the k3s that a unit, or OpenRC, starts; None where they cannot be read."""
    words = command_of(node, unit) if unit else _openrc_command(node)
    found = k3s_command(words)
    if found is None and words[1:2] and words[1] in K3S_WITH_KUBE_PROXY:
        # Its file may have another name.
        found = words
    if found is None:
        return None if unit else []
    return None if is_open(found) else found


def k3s_arguments(node, unit):
    """The Arguments that k3s gives kube-proxy. /proc does not show them: k3s writes its title over them."""
    words = _command(node, unit)
    if words is None:
        return Arguments(None)
    given, flags = _rancher_command(words)
    config = flags.get('config') or (environment_of(node, unit).get('K3S_CONFIG_FILE') if unit else None) or K3S_CONFIG
    settings = rancher_settings(node, config)
    if not node.live and not any(node.kind(directory) for directory in (RANCHER_DIRECTORY, config.rpartition('/')[0])):
        # What was not collected may say anything.
        settings = None
    shown = config if node.kind(config) or node.kind(config + '.d') else None
    if settings is None:
        return Arguments(None, shown)
    listed = [_flag(argument) for argument in _listed(settings.get('kube-proxy-arg')) if argument]
    given = [_flag(argument) for argument in given if argument]
    named = set(argument.partition('=')[0] for argument in listed + given)
    built_in = [flag for flag in RANCHER_FLAGS if flag.partition('=')[0] not in named]
    mode_source = 'default'
    for arguments, source in ((listed, 'argument_file'), (given, 'flag')):
        if any(argument.startswith('--proxy-mode=') for argument in arguments):
            mode_source = source
    disabled = any(_is_true(flags.get(key, settings.get(key, False))) for key in ('disable-kube-proxy', 'disable-agent'))
    return Arguments(built_in + listed + given, shown, mode_source, disabled)


def _flag(argument):
    """`proxy-mode=ipvs` as a flag. += and -= add to a list; kube-proxy gets the value alone."""
    return '--' + re.sub(r'^([\w-]+?)[+-]=', r'\1=', to_text(argument).lstrip('-'))
