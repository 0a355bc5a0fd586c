# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units, and the scripts that they start, that set the value: drop-ins of kube-proxy, kubelet pre-start scripts, services, timers."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import split_command
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writer_entry import KUBE_PROXY_RESTART, KUBELET_RESTART, REBOOT, writer

SCRIPT_LIMIT = 256 * 1024
INTERPRETERS = ('sh', 'bash', 'dash', 'ash', 'ksh', 'zsh')
# Programs that are, or contain, the kubelet.
KUBELETS = ('kubelet', 'k3s', 'rke2', 'kubelite', 'k0s', 'hyperkube')
# Units that apply the sysctl files at boot: what they do is known from the files.
KNOWN = ('systemd-sysctl.service', 'procps.service', 'ufw.service', 'tuned.service')


def script_of(node, words):
    """(path, text) of the shell script that a command runs, (None, text) for `sh -c TEXT`, (None, None) for anything else."""
    if not words:
        return None, None
    program, rest = words[0], words[1:]
    if os.path.basename(program) in INTERPRETERS:
        if '-c' in rest[:-1]:
            text = rest[rest.index('-c') + 1]
            path, inner = script_of(node, text.split()) if text.startswith('/') else (None, None)
            return (path, inner) if path else (None, text)
        flags = [word for word in rest if not word.startswith('-')]
        program, rest = (flags[0], []) if flags else (None, [])
        return (program, node.text(program, limit=SCRIPT_LIMIT)) if program and program.startswith('/') else (None, None)
    if not program.startswith('/'):
        return None, None
    head = node.read_head(program, 2)
    return (program, node.text(program, limit=SCRIPT_LIMIT)) if head == b'#!' else (None, None)


def actions_of(node, command):
    """(path or None, Actions, text) of an Exec line or a cron command: of the line itself, or of the script that it runs."""
    path, text = script_of(node, split_command(command))
    if text is not None:
        return path, shell_text.read_actions(text), text
    return None, shell_text.read_actions(command.lstrip('@-:+!|')), command


def _programs(unit):
    return set(os.path.basename(words[0]) for words in (split_command(entry['value']) for entry in unit.values('Service', 'ExecStart')) if words)


def _role_of(unit, kube_proxy):
    """(kind, moments) of what a unit starts."""
    if unit.name == kube_proxy.get('unit') and kube_proxy.get('form') not in ('k3s', 'rke2', 'microk8s'):
        return 'unit', [KUBE_PROXY_RESTART, REBOOT]
    if _programs(unit) & set(KUBELETS) or unit.name in ('kubelet.service', kube_proxy.get('unit')):
        return 'kubelet_pre_start', [KUBELET_RESTART, REBOOT]
    return 'unit', [REBOOT]


def _of_command(node, unit, phase, entry, role, in_time, enabled, period, waited, result_of):
    """(the writers that one Exec line amounts to, whether the line waits for something). waited: a line before it did."""
    kind, moments = role
    path, actions, text = actions_of(node, entry['value'])
    found, loads = [], in_time
    for action in actions:
        if action.kind == shell_text.MODPROBE:
            loads = True
            continue
        value, via = result_of(action)
        if action.kind != shell_text.WRITE and not via:
            continue
        fires = list(moments)
        reason = None
        if not enabled:
            fires, reason = [], 'unit is masked' if unit.masked else 'unit is not enabled'
        elif phase != 'ExecStartPost' and not loads and REBOOT in fires and KUBE_PROXY_RESTART not in fires:
            # Before kube-proxy has run on this boot there is no such key, unless somebody loads ip_vs.
            fires.remove(REBOOT)
            reason = 'ip_vs is not loaded yet when %s starts at boot' % unit.name
        again = period if period else shell_text.loop_seconds(text) if enabled else None
        found.append(
            writer(
                kind,
                path or entry['path'],
                action.line if path else entry['line'],
                action.text if path else '%s=%s' % (phase, entry['value']),
                value,
                fires,
                [unit.name],
                reason=reason,
                period_seconds=again if enabled else None,
                via=via,
                unit=unit.name,
                phase=phase,
                waits=waited or shell_text.waits(text),
            )
        )
    return found, shell_text.waits(text)


def read_unit_writers(node, units, kube_proxy, in_time, result_of):
    """Writers of kinds unit and kubelet_pre_start.

    in_time: whether ip_vs is loaded early at boot. result_of: function of an Action that gives (value, file it comes from).
    """
    found = []
    for name in units.names():
        unit = units.find(name)
        if unit is None or name in KNOWN:
            continue
        role, period = None, False
        # Commands of a phase run one after the other: `sleep` in one of them delays those after it.
        waited = {}
        for phase, entry in unit.commands():
            if not _worth_reading(entry['value']):
                continue
            if role is None:
                role = _role_of(unit, kube_proxy)
                period = units.period_of(name)
            enabled = not unit.masked and (unit.enabled or bool(period) or name == kube_proxy.get('unit'))
            writers, waits = _of_command(node, unit, phase, entry, role, in_time, enabled, period, waited.get(phase, False), result_of)
            waited[phase] = waits or waited.get(phase, False)
            found.extend(writers)
    return found


def _worth_reading(command):
    """Whether a command can be a script at all; most are programs of the system."""
    return bool(command) and not command.lstrip('@-:+!|').startswith(('/usr/lib/systemd/', '/lib/systemd/'))
