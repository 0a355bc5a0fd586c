# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The arguments of kube-proxy in a command that starts it."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import HYPERKUBE_WORDS, K3S_WITH_KUBE_PROXY, KUBE_PROXY
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import split_command

SHELLS = ('sh', 'bash', 'dash', 'ash', 'ksh', 'zsh')
# Programs that run the command which their arguments name.
WRAPPERS = (
    'go-runner',
    'env',
    'nice',
    'ionice',
    'chrt',
    'taskset',
    'numactl',
    'setpriv',
    'prlimit',
    'nohup',
    'stdbuf',
    'timeout',
    'nsenter',
    'unshare',
    'chroot',
    'cgexec',
    'systemd-cat',
    'tini',
    'dumb-init',
    'catatonit',
    'exec',
)
SCRIPTS = ('entrypoint.sh', 'entrypoint')
CONTAINER_ENGINES = ('docker', 'podman', 'nerdctl', 'rkt', 'ctr')
# Programs that deal with a running kube-proxy: its name is their argument.
HANDLERS = frozenset(('pkill', 'pgrep', 'killall', 'pidof', 'systemctl', 'service', 'kubectl', 'crictl'))
# What a shell puts there when it runs, and the flags that decide about the mode.
_FILLED_IN = re.compile(r'[$`]')
_DECIDES = re.compile(r'--?(?:proxy-mode|config|c|kube-proxy-arg)(?:=|$)')
# Where k3s and RKE2 look for what they are told.
RANCHER_DIRECTORY = '/etc/rancher'


class Arguments(object):
    """The arguments of kube-proxy that stand in files.

    words: list of text, None if they cannot be known; path: the file in which they stand, or None; mode_source: of docs/facts.md, what
    sets the mode, None for the flags themselves; disabled: kube-proxy is switched off there.
    """

    def __init__(self, words, path=None, mode_source=None, disabled=False):
        self.words, self.path, self.mode_source, self.disabled = words, path, mode_source, disabled


def after_program(words):
    """The arguments of kube-proxy in a command that starts it, itself or behind hyperkube, a shell or a wrapper; None for any other command."""
    base = os.path.basename(words[0]) if words else ''
    if base == KUBE_PROXY:
        return _without_redirections(words[1:])
    if base == 'hyperkube':
        rest = words[1:]
        while rest and rest[0].startswith('-'):
            rest = rest[1:]
        return _without_redirections(rest[1:]) if rest and rest[0] in HYPERKUBE_WORDS else None
    if base in SHELLS:
        for position, word in enumerate(words[1:-1], 1):
            if re.match(r'^-[a-z]*c$', word):
                found = [after_program(command) for command in _simple_commands(words[position + 1])]
                return ([arguments for arguments in found if arguments is not None] or [None])[-1]
    if base in SHELLS or base in WRAPPERS or base.endswith(SCRIPTS) or (base in CONTAINER_ENGINES and 'run' in words):
        starts = [
            position for position, word in enumerate(words) if position and os.path.basename(word) in (KUBE_PROXY, 'hyperkube') and not word.startswith('-')
        ]
        # The name of a container can be kube-proxy too: what it runs stands behind it.
        for position in reversed(starts):
            found = after_program(words[position:])
            if found is not None and HANDLERS.isdisjoint(os.path.basename(word) for word in words[:position]):
                return found
    return None


def _simple_commands(text):
    """The words of each command in shell text, without `exec` and assignments before it."""
    text = re.sub(r'\d?>&\d', ' ', text.replace('\\\n', ' ').replace('\n', ' ; '))
    words = []
    for word in split_command(re.sub(r'(&&|\|\||[;|]|&(?!>))', r' \1 ', text)) + [';']:
        if word in (';', '&&', '||', '|', '&'):
            if words:
                yield words
            words = []
        elif words or not (word == 'exec' or re.match(r'^\w+=', word)):
            words.append(word)


def _without_redirections(words):
    kept, position = [], 0
    while position < len(words):
        redirected = re.match(r'^(?:\d|&)?(?:>>?|<)(.*)$', words[position])
        position += 2 if redirected and not redirected.group(1) else 1
        if not redirected:
            kept.append(words[position - 1])
    return kept


def starts_kube_proxy(words):
    """Whether a command starts kube-proxy."""
    return after_program(words) is not None


def k3s_command(words):
    """The words of the k3s with kube-proxy that a command starts, itself or behind a shell or a wrapper; None for any other command."""
    base = os.path.basename(words[0]) if words else ''
    if base == 'k3s':
        return _without_redirections(words) if len(words) > 1 and words[1] in K3S_WITH_KUBE_PROXY else None
    if base in SHELLS:
        for position, word in enumerate(words[1:-1], 1):
            if re.match(r'^-[a-z]*c$', word):
                found = [k3s_command(command) for command in _simple_commands(words[position + 1])]
                return ([command for command in found if command is not None] or [None])[-1]
    if base in SHELLS or base in WRAPPERS:
        for position, word in enumerate(words):
            if position and os.path.basename(word) == 'k3s' and HANDLERS.isdisjoint(os.path.basename(other) for other in words[:position]):
                return k3s_command(words[position:])
    return None


def starts_k3s(words):
    """Whether a command starts a k3s that runs kube-proxy."""
    return k3s_command(words) is not None


def is_open(words):
    """Whether a shell fills something into arguments that can hold any flag, or what decides about the mode."""
    for before, word in zip([''] + words, words):
        is_value = before.startswith('-') and '=' not in before
        decides = _DECIDES.match(before if is_value else word)
        if _FILLED_IN.search(word) if decides else _FILLED_IN.match(word) and not is_value:
            return True
    return False
