# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever on a node sets net.ipv4.vs.conn_reuse_mode, except kube-proxy itself."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_text, unit_writers
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.config_directories import merged_files
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.cron_writers import read_cron
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl_files import KEY, PROCPS, SYSTEMD, SysctlFiles, parse
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writer_entry import KUBE_PROXY_RESTART, KUBELET_RESTART, REBOOT, writer

MODPROBE_DIRECTORIES = ('/etc/modprobe.d', '/run/modprobe.d', '/usr/local/lib/modprobe.d', '/usr/lib/modprobe.d', '/lib/modprobe.d')
UDEV_DIRECTORIES = ('/etc/udev/rules.d', '/run/udev/rules.d', '/usr/local/lib/udev/rules.d', '/usr/lib/udev/rules.d', '/lib/udev/rules.d')
TUNED_DIRECTORIES = ('/etc/tuned/profiles', '/etc/tuned', '/usr/lib/tuned/profiles', '/usr/lib/tuned')
TUNED_DEPTH = 10
RC_LOCAL = ('/etc/rc.local', '/etc/rc.d/rc.local')
# The order in which they act while a node boots: each has the last word over those before it. ip_vs is loaded first.
BOOT_ORDER = ('modprobe', 'tuned', 'sysctl_file', 'udev', 'ufw', 'unit', 'rc_local', 'cron', 'kubelet_pre_start', 'kube_router')


def _modprobe(node, files):
    """`install ip_vs ...` lines: they run whenever ip_vs is loaded (modprobe.d(5))."""
    found = []
    for path, masked_by in merged_files(node, MODPROBE_DIRECTORIES):
        if masked_by:
            continue
        for number, line in enumerate((node.text(path) or '').replace('\\\n', ' ').split('\n'), 1):
            if not re.match(r'\s*install\s+ip[_-]vs\s', line):
                continue
            for action in shell_text.read_actions(re.sub(r'^\s*install\s+\S+\s+', '', line)):
                value, via = _result_of(action, files)
                if action.kind != shell_text.MODPROBE and (action.kind == shell_text.WRITE or via):
                    found.append(writer('modprobe', path, number, line, value, [REBOOT], ['modprobe'], via=via))
    return found


def _result_of(action, files):
    """(value, path of the file it comes from) of an action of a script; files re-read by sysctl give what wins among them."""
    if action.kind == shell_text.WRITE:
        return action.value, None
    winner = {
        shell_text.SYSTEM: lambda: files.procps,
        shell_text.SERVICE: lambda: files.systemd,
        shell_text.FILE: lambda: files.of_file(action.argument),
    }.get(action.kind, lambda: None)()
    return (winner.value, winner.path) if winner else (None, None)


def _udev_rules(node):
    """Lines of udev rules that apply the sysctl files, or write the value, when ip_vs is loaded: [(path, number, line)]."""
    found = []
    for path, masked_by in merged_files(node, UDEV_DIRECTORIES, '.rules'):
        if masked_by:
            continue
        for number, line in enumerate((node.text(path) or '').replace('\\\n', ' ').split('\n'), 1):
            if (
                not line.lstrip().startswith('#')
                and 'RUN' in line
                and re.search(r'KERNEL=="ip_vs["*]|net/ipv4/vs|conn_reuse_mode', line)
                and re.search(r'SUBSYSTEM=="module"|ip_vs', line)
            ):
                found.append((path, number, line))
    return found


def _udev(rules):
    found = []
    for path, number, line in rules:
        direct = re.search(r'conn_reuse_mode["\']?\s*=\s*(-?\d+)', line) or re.search(r'echo\s+(-?\d+)\s*>', line)
        if direct and 'conn_reuse_mode' in line:
            found.append(writer('udev', path, number, line, int(direct.group(1)), [REBOOT], ['udev']))
    return found


def _sysctl_files(node, files, kernel, rules):
    """The lines of the sysctl files. They count at boot only if the key exists when systemd-sysctl runs."""
    applied_late = any('systemd-sysctl' in line or 'sysctl' in line for dummy, dummy, line in rules)
    in_time = bool(kernel.get('ip_vs_loaded_at_boot')) or kernel.get('ip_vs') == 'builtin' or applied_late
    found = []
    for assignment in files.assignments:
        if assignment.excludes:
            continue
        readers, reason, moments = files.readers(assignment), None, [REBOOT]
        if assignment.masked_by:
            reason, moments = 'masked by %s' % assignment.masked_by, []
        elif SYSTEMD not in readers:
            reason, moments = 'systemd-sysctl does not read this file at boot', []
        elif not in_time:
            reason, moments = 'ip_vs is not loaded yet when systemd-sysctl runs at boot', []
        elif assignment is not files.systemd:
            reason, moments = 'overridden by %s' % (files.systemd.path if files.systemd else 'a line that excludes the key'), []
        found.append(writer('sysctl_file', assignment.path, assignment.line, assignment.text, assignment.value, moments, readers or [PROCPS], reason=reason))
    return found


def _shell_settings(text):
    return dict((key, value.strip('"\'')) for key, value in re.findall(r'(?m)^\s*(\w+)=(\S*)', text or ''))


def _ufw(node, in_time):
    """ufw applies a sysctl file of its own when it starts."""
    path = _shell_settings(node.text('/etc/default/ufw')).get('IPT_SYSCTL') or '/etc/ufw/sysctl.conf'
    enabled = _shell_settings(node.text('/etc/ufw/ufw.conf')).get('ENABLED', '').lower() == 'yes'
    reason = None if enabled and in_time else 'ufw is not enabled' if not enabled else 'ip_vs is not loaded yet when ufw starts'
    return [
        writer('ufw', path, assignment.line, assignment.text, assignment.value, [] if reason else [REBOOT], ['ufw'], reason=reason)
        for assignment in parse(node.text(path) or '', path)
        if not assignment.excludes
    ]


def _tuned_sections(text):
    """{section: [(line number, key, value, line)]} of a tuned profile."""
    sections, name = {}, ''
    for number, line in enumerate(text.split('\n'), 1):
        stripped = line.strip()
        if stripped.startswith('[') and stripped.endswith(']'):
            name = stripped[1:-1]
        elif stripped and stripped[0] not in '#;' and '=' in stripped:
            key, dummy, value = stripped.partition('=')
            sections.setdefault(name, []).append((number, key.strip(), value.strip(), line))
    return sections


def _tuned_profile(node, name, depth=0):
    """(path, number, line, value) of the line that wins in a profile and those it includes, or None: its own go before."""
    if depth > TUNED_DEPTH or '/' in name:
        return None
    for directory in TUNED_DIRECTORIES:
        path = '%s/%s/tuned.conf' % (directory, name)
        text = node.text(path)
        if text is None:
            continue
        sections = _tuned_sections(text)
        own = [
            (path, number, line, value)
            for section, lines in sections.items()
            if section == 'sysctl'
            for number, key, value, line in lines
            if key.replace('.', '/').lstrip('-') == KEY
        ]
        if own:
            return own[-1]
        for dummy, key, value, dummy in reversed(sections.get('main', [])):
            if key == 'include':
                for included in reversed(re.split(r'[\s,;]+', value)):
                    answer = _tuned_profile(node, included.lstrip('-'), depth + 1) if included else None
                    if answer:
                        return answer
        return None
    return None


def _tuned(node, files, units, in_time):
    """tuned applies its active profile when it starts, and by default the sysctl files once more after it."""
    for name in reversed((node.text('/etc/tuned/active_profile') or '').split()):
        line = _tuned_profile(node, name)
        if line is None:
            continue
        path, number, text, value = line
        value = value.strip('"\'')
        main = _tuned_sections(node.text('/etc/tuned/tuned-main.conf') or '').get('', [])
        again = dict((key, setting.lower()) for dummy, key, setting, dummy in main).get('reapply_sysctl', '1') in ('1', 'true', 'yes', 'on')
        reason = None
        if not units.is_enabled('tuned.service'):
            reason = 'tuned is not enabled'
        elif not in_time:
            reason = 'ip_vs is not loaded yet when tuned starts'
        elif again and files.systemd:
            reason = 'tuned applies %s again after its profile' % files.systemd.path
        number_value = int(value) if re.match(r'-?\d+$', value) else None
        return [writer('tuned', path, number, text, number_value, [] if reason else [REBOOT], ['tuned'], reason=reason)]
    return []


def _rc_local(node, files):
    found = []
    for path in RC_LOCAL:
        if not node.executable(path) or (path == RC_LOCAL[1] and node.identity(path) == node.identity(RC_LOCAL[0])):
            continue
        for action in shell_text.read_actions(node.text(path) or ''):
            value, via = _result_of(action, files)
            if action.kind == shell_text.WRITE or via:
                found.append(writer('rc_local', path, action.line, action.text, value, [REBOOT], ['rc.local'], via=via))
    return found


def _kube_router(kube_proxy):
    """kube-router's service proxy sets 0 at each of its starts (cloudnativelabs/kube-router, network services controller)."""
    if not kube_proxy.get('kube_router'):
        return []
    return [writer('kube_router', None, None, None, 0, [REBOOT], ['kube-router'])]


def _decide_winners(writers):
    """Mark at each moment the one writer that comes last."""
    rank = dict((kind, number) for number, kind in enumerate(BOOT_ORDER))
    for moment in (REBOOT, KUBELET_RESTART, KUBE_PROXY_RESTART):
        firing = [entry for entry in writers if moment in entry['moments'] and not entry['period_seconds']]
        # sorted() is stable: of the same kind the later in the list acts later.
        ordered = sorted(firing, key=lambda entry: rank.get(entry['kind'], 0))
        if ordered:
            ordered[-1]['wins'].append(moment)
        for entry in ordered[:-1]:
            entry['reason'] = entry['reason'] or 'overridden by %s' % (ordered[-1]['path'] or ordered[-1]['kind'])


def read_writers(node, kernel, units, kube_proxy):
    """`writers` of docs/facts.md. kernel, kube_proxy: those parts of the facts; units: systemd_units.Units."""
    files, rules = SysctlFiles(node), _udev_rules(node)
    in_time = bool(kernel.get('ip_vs_loaded_at_boot')) or kernel.get('ip_vs') == 'builtin'
    writers = _modprobe(node, files) + _tuned(node, files, units, in_time) + _sysctl_files(node, files, kernel, rules) + _udev(rules)
    writers += _ufw(node, in_time) + unit_writers.read_unit_writers(node, units, kube_proxy, in_time, lambda action: _result_of(action, files))
    writers += _rc_local(node, files) + read_cron(node, lambda action: _result_of(action, files)) + _kube_router(kube_proxy)
    _decide_winners(writers)
    return writers
