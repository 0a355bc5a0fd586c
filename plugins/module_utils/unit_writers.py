# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Units whose commands, or the scripts that these start, set the value or have sysctl read its files again."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_actions import MODPROBE, WRITE, place_of, read_actions
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import MAXIMUM_INSTANCES, PULLS, seconds_of, split_command
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writer_entry import KUBE_PROXY_RESTART, KUBELET_RESTART, REBOOT, writer

SCRIPT_LIMIT = 256 * 1024
INTERPRETERS = ('sh', 'bash', 'dash', 'ash', 'ksh', 'zsh')
KUBE_PROXY_UNIT = 'kube-proxy.service'
# Programs that are, or contain, the kubelet.
KUBELETS = ('kubelet', 'k3s', 'rke2', 'kubelite', 'k0s')
# Forms of kube-proxy that live in the process of the kubelet's unit.
EMBEDDED_FORMS = ('k3s', 'rke2', 'microk8s')
# Units that apply the sysctl files at boot, or run what is looked at elsewhere.
KNOWN = ('systemd-sysctl.service', 'procps.service', 'ufw.service', 'tuned.service', 'rc-local.service', 'rc.local.service')
MAXIMUM_PATHS = 8
MAXIMUM_LINES = 200
# Seconds after the boot: a timer that fires sooner is taken to come before kube-proxy. Nobody has measured it; what comes later is inferred.
SHORT_DELAY = 10
_PATH = re.compile(r'(?:^|[\s;&|("\'=])(/[\w.@+/-]+)', re.UNICODE)


def _script(node, path, interpreted=False):
    """The text of a shell script, or None for anything else. INTERPRETED: it is handed to a shell, whatever its first line."""
    head = node.read_head(path, 2)
    if head is None or (head != b'#!' and not interpreted):
        return None
    text = node.text(path, limit=SCRIPT_LIMIT)
    return None if text is None or '\0' in text else text


def _inline(words):
    """TEXT of `sh -c TEXT`, or None."""
    if not words or os.path.basename(words[0]) not in INTERPRETERS:
        return None
    for position, word in enumerate(words[1:-1], 1):
        if re.match(r'-[a-z]*c$', word):
            return words[position + 1]
    return None


def _scripts_of(node, words, text):
    """(path, text) of the scripts that a command names: its program, what it hands to a shell, or what a wrapper such as timeout starts."""
    interpreted = bool(words) and os.path.basename(words[0]) in INTERPRETERS
    for position, path in enumerate(_PATH.findall(text)[:MAXIMUM_PATHS]):
        if position and not interpreted and not node.executable(path):
            continue
        script = _script(node, path, interpreted and position > 0) if node.kind(path) == 'file' else None
        if script is not None:
            yield path, script


def _actions_in(node, path, script):
    """The Actions of a script, which know whether somebody else than root can change it."""
    actions = read_actions(script)
    if actions and not node.is_roots_alone(path):
        for action in actions:
            action.is_roots = False
    return actions


def actions_of(node, command):
    """[(path or None, Action, text it stands in)] of an Exec line or a cron command: of the line itself, and of the scripts that it starts."""
    words = split_command(command)
    text = _inline(words) or ' '.join(words)
    found = [(None, action, text) for action in read_actions(text)]
    if any(action.kind != MODPROBE for dummy, action, dummy in found):
        return found
    for path, script in _scripts_of(node, words, text):
        found += [(path, action, script) for action in _actions_in(node, path, script)]
    return found


def actions_of_script(node, path):
    """The same of a script that is run by itself: its own, and those of the scripts that it starts."""
    text = node.text(path, limit=SCRIPT_LIMIT) or ''
    found = [(path, action, text) for action in read_actions(text)]
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_words import logical_lines

    for dummy, line, dummy in logical_lines(text)[:MAXIMUM_LINES]:
        for other, script in _scripts_of(node, [], line):
            found += [(other, action, script) for action in _actions_in(node, other, script) if other != path]
    return found


def _runs(unit, names, words=()):
    """Whether a unit starts one of NAMES, itself or through a shell, or hyperkube as one of WORDS."""
    for entry in unit.values('Service', 'ExecStart'):
        bases = [os.path.basename(word.strip('"\'')) for word in entry['value'].lstrip('@-:+!|').split()]
        if not bases:
            continue
        if bases[0] in names or (bases[0] in INTERPRETERS and set(bases) & set(names)):
            return True
        if 'hyperkube' in bases[:1] and set(bases[1:3]) & set(words):
            return True
    return False


class _Role(object):
    """What a unit is to the value: its kind of writer, and the moments at which its commands run."""

    def __init__(self, unit, units, kube_proxy):
        own = kube_proxy.get('unit')
        self.is_own = unit.name == own
        # A kube-proxy that does not run now may have no unit in the facts.
        installed = not own and kube_proxy.get('form') in (None, 'none', 'systemd') and _runs(unit, ('kube-proxy',), ('proxy', 'kube-proxy'))
        is_kube_proxy = installed or (self.is_own and kube_proxy.get('form') not in EMBEDDED_FORMS)
        is_kubelet = not is_kube_proxy and (self.is_own or unit.name == 'kubelet.service' or _runs(unit, KUBELETS, ('kubelet',)))
        self.kind = 'kubelet_pre_start' if is_kubelet else 'unit'
        self.timer = units.timer_of(unit.name)
        self.period = units.period_of(unit.name)
        starts = units.starts.again_with(unit)
        # Whatever starts kube-proxy on this node, that runs.
        self.with_own = self.is_own or (own is not None and own in units.starts.pulled_by(unit.name))
        # A timer that fires once does so some time after the boot, unless that is no time at all.
        self.waits = self.timer is not None and not self.period and _delay_of(units.find(self.timer)) >= SHORT_DELAY
        # Nor does anything wait for what a timer starts.
        self.comes_first = self.timer is None and _comes_first(unit, units, own)
        self.moments = []
        if is_kube_proxy or self.is_own or starts & set([own, KUBE_PROXY_UNIT]):
            self.moments.append(KUBE_PROXY_RESTART)
        if is_kubelet or any(_is_kubelet_name(name) for name in starts):
            self.moments.append(KUBELET_RESTART)
        self.moments.append(REBOOT)
        after = set(alias for name in unit.names_of('After') for alias in units.all_names(units.real_name(name))) | starts
        self.comes_late = own in after or KUBE_PROXY_UNIT in after or any(_is_kubelet_name(name) for name in after)


def _delay_of(timer):
    """Seconds after the boot at which a timer fires for the first time, 0 where nothing says so."""
    spans = [seconds_of(timer.value('Timer', key) or '') for key in ('OnBootSec', 'OnStartupSec', 'OnActiveSec')] if timer else []
    return min([span for span in spans if span is not None] or [0])


def _comes_first(unit, units, own):
    """Whether kube-proxy, or the kubelet that starts it, is not started before a unit has done its work, however long that takes."""
    if unit.value('Service', 'Type') != 'oneshot':
        return False
    proxy = units.find(own or KUBE_PROXY_UNIT)
    if proxy is not None and set(units.all_names(unit.name)) & proxy.names_of('After'):
        return True
    before = unit.names_of('Before')
    return bool(before & set([own, KUBE_PROXY_UNIT])) or (own is None and any(_is_kubelet_name(name) for name in before))


def _is_kubelet_name(name):
    return re.split(r'[-.]', name)[0] in KUBELETS


def _of_command(unit, phase, entry, actions, role, in_time, waited, result_of):
    """The writers that one Exec line amounts to. actions: of actions_of; waited: a line before it waits for something."""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_text

    found, loads = [], in_time or role.comes_late
    for path, action, text in actions:
        if action.kind == MODPROBE:
            loads = True
            continue
        value, via = result_of(action)
        if action.kind != WRITE and not via:
            continue
        place, line, written, via = place_of(action, path, via, (entry['path'], entry['line'], '%s=%s' % (phase, entry['value'])))
        waits = waited or role.waits or shell_text.waits(text)
        moments, reason = list(role.moments), None
        period = role.period or shell_text.loop_seconds(text, action.line)
        if unit.masked or not (unit.enabled or role.with_own):
            moments, reason, period = [], 'unit is masked' if unit.masked else 'unit is not enabled', None
        elif phase != 'ExecStartPost' and not (loads or waits or period):
            # Before kube-proxy has run on this boot there is no such key, unless somebody loads ip_vs.
            moments.remove(REBOOT)
            reason = 'ip_vs is not loaded yet when %s starts at boot' % unit.name
        found.append(
            writer(
                role.kind,
                place,
                line,
                written,
                value,
                moments,
                [role.timer or unit.name],
                reason=reason,
                period_seconds=period,
                via=via,
                unit=unit.name,
                phase=phase,
                waits=waits and not role.comes_first,
            )
        )
    return found


def _of_unit(unit, commands, role, in_time, result_of):
    """The writers that a unit amounts to. commands: [(phase, entry, actions of actions_of)]"""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_text

    # Commands of a phase run one after the other: `sleep` in one of them delays those after it.
    found, waiting = [], set()
    for phase, entry, actions in commands:
        found.extend(_of_command(unit, phase, entry, actions, role, in_time, phase in waiting, result_of))
        if shell_text.waits(entry['value']):
            waiting.add(phase)
    return found


def read_unit_writers(node, units, kube_proxy, in_time, result_of):
    """Writers of kinds unit and kubelet_pre_start.

    in_time: whether ip_vs is loaded early at boot. result_of: function of an Action that gives (value, file it comes from).
    """
    found, known = [], set(units.names())
    pending = sorted(known, reverse=True)
    while pending:
        name = pending.pop()
        unit = units.find(name)
        if unit is None or name in KNOWN:
            continue
        # An instance that a setting alone names has no file that would list it.
        wanted = sorted(unit.names_of(*PULLS) - known, reverse=True)
        instances = [other for other in wanted if other.endswith('.service') and units.is_instance(other)][:MAXIMUM_INSTANCES]
        pending.extend(instances)
        known.update(instances)
        commands = [(phase, entry, actions_of(node, entry['value']) if _worth_reading(entry['value']) else []) for phase, entry in unit.commands()]
        if any(actions for dummy, dummy, actions in commands):
            found.extend(_of_unit(unit, commands, _Role(unit, units, kube_proxy), in_time, result_of))
    return found


def _worth_reading(command):
    """Whether a command can be a script at all; most are programs of the system."""
    return bool(command) and ('systemd-sysctl' in command or not command.lstrip('@-:+!|').startswith(('/usr/lib/systemd/', '/lib/systemd/')))
