# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The mode in the configuration of k3s and RKE2: kube-proxy-arg of config.yaml, of config.yaml.d and of the command line."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_config import parse_flags
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_rancher import RANCHER_FLAGS

KEY = 'kube-proxy-arg'
FILE_NAME = '90-kubeproxy-ipvs.yaml'
# `key+` adds to the list that was read so far (k3s-io/k3s PR 3229, April 2021). Releases of that spring have it or not; from here on all do.
APPENDS_SINCE = (1, 22)
RKE2_SERVICES = ('server', 'agent')
# An argument of kube-proxy in a list, in a string or behind --kube-proxy-arg; the two hyphens may be left out there.
_ARGUMENT = re.compile(r'(?<![\w-])(?:--)?proxy-mode=([A-Za-z]*)(?=["\'\],}\s]|$)')


def arguments_replaced(text, mode):
    """Each text that comes of TEXT with one proxy-mode= changed, the last one first."""
    for found in reversed(list(_ARGUMENT.finditer(text))):
        if found.group(1) != mode:
            yield text[:found.start(1)] + mode + text[found.end(1):]


def added_file(mode):
    """The text of a file of config.yaml.d that adds the mode to the arguments that the files before it give."""
    return '# kubeproxy.ipvs: the mode of kube-proxy\n%s+:\n  - "proxy-mode=%s"\n' % (KEY, mode)


def appends(version):
    """Whether this version of k3s or RKE2, such as 1.28.5+k3s1, is known to add to a list with `key+`."""
    found = re.match(r'v?(\d+)\.(\d+)', version or '')
    return bool(found) and tuple(int(part) for part in found.groups()) >= APPENDS_SINCE


def starts_rke2(words):
    """Whether a command starts an RKE2 that runs kube-proxy."""
    return len(words) > 1 and words[0].rpartition('/')[2] == 'rke2' and words[1] in RKE2_SERVICES


def config_path_of(words, environment_value, default):
    """The config.yaml that a command line (words), an environment variable or neither names."""
    flags = dict(parse_flags(words))
    return flags.get('config') or flags.get('c') or environment_value or default


def _listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def rke2_arguments(settings, words):
    """The arguments that RKE2 gives kube-proxy. settings: its config.yaml with all that adds to it; words: of its command line."""
    given = [value for name, value in parse_flags(words) if name == KEY]
    # += and -= add to a list; kube-proxy gets the value alone.
    flags = ['--' + re.sub(r'^([\w-]+?)[+-]=', r'\1=', to_text(argument).lstrip('-')) for argument in _listed(settings.get(KEY)) + given if argument]
    named = set(flag.partition('=')[0] for flag in flags)
    return [flag for flag in RANCHER_FLAGS if flag.partition('=')[0] not in named] + flags
