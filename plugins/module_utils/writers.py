# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever on a node sets net.ipv4.vs.conn_reuse_mode, except kube-proxy itself."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import fnmatch
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_actions, unit_writers
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.config_directories import joined_lines, merged_files
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.cron_writers import read_cron
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import read_processes
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl_files import PROCPS, SYSTEMD, SysctlFiles, last_word, parse
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.tuned_profiles import TunedProfiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writer_entry import KUBE_PROXY_RESTART, KUBELET_RESTART, REBOOT, tell_line, writer

MODPROBE_DIRECTORIES = ('/etc/modprobe.d', '/run/modprobe.d', '/usr/local/lib/modprobe.d', '/usr/lib/modprobe.d', '/lib/modprobe.d')
UDEV_DIRECTORIES = ('/etc/udev/rules.d', '/run/udev/rules.d', '/usr/local/lib/udev/rules.d', '/usr/lib/udev/rules.d', '/lib/udev/rules.d')
# key operator "text" of udev(7).
_UDEV_PART = re.compile(r'([A-Z]+(?:\{[^}]*\})?)\s*(==|!=|\+=|:=|-=|=)\s*"((?:[^"\\]|\\.)*)"')
SYSTEMD_SERVICE, PROCPS_SERVICE = 'systemd-sysctl.service', 'procps.service'
RC_LOCAL = ('/etc/rc.local', '/etc/rc.d/rc.local')
# The order in which they act while a node boots: each has the last word over those before it. ip_vs is loaded first.
BOOT_ORDER = ('modprobe', 'sysctl_file', 'udev', 'ufw', 'tuned', 'unit', 'rc_local', 'cron', 'kubelet_pre_start', 'kube_router')
# Of these, those that act some time after the boot if they wait for something.
SOME_TIME_AFTER = ('unit', 'rc_local', 'cron')
# Behind all of these: what runs behind each start of kube-proxy.
LAST = len(BOOT_ORDER)


def _modprobe(node, files):
    """`install ip_vs ...` lines: they run whenever ip_vs is loaded (modprobe.d(5))."""
    found = []
    for path, masked_by in merged_files(node, MODPROBE_DIRECTORIES):
        if masked_by:
            continue
        for number, line in joined_lines(node.text(path) or ''):
            if not re.match(r'\s*install\s+ip[_-]vs\s', line):
                continue
            for dummy, action, dummy in unit_writers.actions_of(node, re.sub(r'^\s*install\s+\S+\s+', '', line)):
                value, via = _result_of(action, files)
                if action.kind == shell_actions.WRITE or via:
                    found.append(writer('modprobe', path, number, line, value, [REBOOT], ['modprobe'], via=via))
    return found


def _result_of(action, files):
    """(value, path of the file it comes from) of an action of a script; files re-read by sysctl give what wins among them."""
    if action.kind == shell_actions.WRITE:
        return action.value, None
    winner = {
        shell_actions.SYSTEM: lambda: files.procps,
        shell_actions.SERVICE: lambda: files.systemd,
        shell_actions.FILE: lambda: files.of_file(action.argument),
    }.get(action.kind, lambda: None)()
    return (winner.value, winner.path) if winner else (None, None)


def _meets_ip_vs(tests):
    """Whether a udev rule with these tests [(key, operator, text)] is met when ip_vs is loaded."""
    for key, operator, text in tests:
        wanted = {'ACTION': 'add', 'SUBSYSTEM': 'module', 'KERNEL': 'ip_vs', 'DEVPATH': '/module/ip_vs'}.get(key)
        if operator not in ('==', '!='):
            continue
        if wanted is None and operator == '==' and key in ('DRIVER', 'SUBSYSTEMS', 'KERNELS', 'DRIVERS'):
            return False
        if wanted is not None and any(fnmatch.fnmatchcase(wanted, pattern) for pattern in text.split('|')) != (operator == '=='):
            return False
    return any(key in ('SUBSYSTEM', 'KERNEL', 'DEVPATH') and operator == '==' for key, operator, dummy in tests)


def _udev_actions(node):
    """What udev rules run when ip_vs is loaded: [(path, number, line, Action)]."""
    found = []
    for path, masked_by in merged_files(node, UDEV_DIRECTORIES, '.rules'):
        text = '' if masked_by else node.text(path) or ''
        for number, line in joined_lines(text) if 'sysctl' in text or 'ip_vs' in text or 'conn_reuse_mode' in text else []:
            parts = _UDEV_PART.findall(line)
            if not any(key.startswith('RUN') for key, dummy, dummy in parts) or not _meets_ip_vs(parts):
                continue
            for key, dummy, command in parts:
                if key in ('RUN', 'RUN{program}'):
                    command = command.replace('\\"', '"')
                    # udev looks for a program without a path in its own directory.
                    command = re.sub(r'^systemd-sysctl\b', '/usr/lib/systemd/systemd-sysctl', command)
                    found += [(path, number, line, action) for dummy, action, dummy in unit_writers.actions_of(node, command)]
    return found


def _udev(actions, files):
    """Rules that write the value, or read a file of their own. Those that apply the sysctl files let these fire."""
    found = []
    for path, number, line, action in actions:
        value, via = _result_of(action, files)
        if action.kind == shell_actions.WRITE or (action.kind == shell_actions.FILE and via):
            found.append(writer('udev', path, number, line, value, [REBOOT], ['udev'], via=via))
    return found


def _boot_program(files, units):
    """The program that applies the sysctl files at boot, None where that is switched off.

    A service that is masked under its own name does not run, also under its aliases. To mask such an alias alone changes nothing.
    """
    unit = units.find(SYSTEMD_SERVICE)
    if files.boot_program != SYSTEMD or unit is None or not unit.masked:
        return files.boot_program
    # Of some releases of Debian and Ubuntu procps has a service of its own.
    other = units.find(PROCPS_SERVICE)
    if other is None or other is unit or not other.enabled:
        return None
    commands = [entry['value'] for dummy, entry in other.commands() if 'sysctl' in entry['value']]
    return None if not commands else SYSTEMD if any('systemd-sysctl' in command for command in commands) else PROCPS


def _sysctl_files(files, boot_program, in_time, actions, tuned_again):
    """The lines of the sysctl files. They count at boot only if the key exists when they are applied.

    boot_program: of _boot_program().
    """
    kinds = set(action.kind for dummy, dummy, dummy, action in actions)
    # Which programs apply the files at a time when ip_vs is there, in their order, and the line that wins with each.
    applied = [(boot_program, {SYSTEMD: files.systemd, PROCPS: files.procps}[boot_program])] if in_time and boot_program else []
    applied += [(SYSTEMD, files.systemd)] if shell_actions.SERVICE in kinds else []
    applied += [(PROCPS, files.procps)] if shell_actions.SYSTEM in kinds else []
    applied += [('tuned', files.tuned)] if tuned_again and files.tuned else []
    winner = applied[-1][1] if applied else None
    found = []
    for assignment in files.assignments:
        if assignment.excludes:
            continue
        readers, reason, moments = files.readers(assignment), None, []
        if assignment.masked_by:
            reason = 'masked by %s' % assignment.masked_by
        elif assignment is winner:
            moments = [REBOOT]
        elif not applied and boot_program is None:
            reason = '%s is masked' % SYSTEMD_SERVICE
        elif readers == [PROCPS] and boot_program == SYSTEMD:
            reason = 'systemd-sysctl does not read this file at boot'
        elif not applied:
            reason = 'ip_vs is not loaded yet when %s runs at boot' % ('systemd-sysctl' if boot_program == SYSTEMD else 'sysctl')
        else:
            reason = 'overridden by %s' % (winner.path if winner else 'a line that excludes the key')
        readers = (readers or [PROCPS]) + [program for program, line in applied if program == 'tuned' and line is assignment]
        found.append(writer('sysctl_file', assignment.path, assignment.line, assignment.text, assignment.value, moments, readers, reason=reason))
    return found


def _shell_settings(text):
    return dict((key, value.strip('"\'')) for key, value in re.findall(r'(?m)^\s*(\w+)=(\S*)', text or ''))


def _ufw(node, in_time):
    """ufw applies a sysctl file of its own when it starts."""
    path = _shell_settings(node.text('/etc/default/ufw')).get('IPT_SYSCTL', '/etc/ufw/sysctl.conf')
    enabled = _shell_settings(node.text('/etc/ufw/ufw.conf')).get('ENABLED', '').lower() == 'yes'
    assignments = parse(node.text(path) or '', path) if path.startswith('/') else []
    winner, found = last_word(assignments), []
    for assignment in assignments:
        reason = 'ufw is not enabled' if not enabled else None if in_time else 'ip_vs is not loaded yet when ufw starts'
        if not reason and assignment is not winner:
            reason = 'overridden by a line of the same file'
        if not assignment.excludes:
            found.append(writer('ufw', path, assignment.line, assignment.text, assignment.value, [] if reason else [REBOOT], ['ufw'], reason=reason))
    return found


def _tuned(profiles, files, enabled, in_time):
    """tuned applies its active profile when it starts, and by default some of the sysctl files once more after it."""
    if profiles.line is None:
        return []
    path, number, text, value = profiles.line
    reason = None
    if not enabled:
        reason = 'tuned is not enabled'
    elif not in_time:
        reason = 'ip_vs is not loaded yet when tuned starts'
    elif profiles.applies_files_again and files.tuned:
        reason = 'tuned applies %s again after its profile' % files.tuned.path
    return [writer('tuned', path, number, text, value, [] if reason else [REBOOT], ['tuned'], reason=reason)]


def _rc_local(node, files, in_time):
    found = []
    for path in RC_LOCAL:
        if not node.executable(path) or (path == RC_LOCAL[1] and node.identity(path) == node.identity(RC_LOCAL[0])):
            continue
        from ansible_collections.kubeproxy.ipvs.plugins.module_utils import shell_text

        loads = in_time
        for script, action, text in unit_writers.actions_of_script(node, path):
            value, via = _result_of(action, files)
            if action.kind == shell_actions.MODPROBE:
                loads = True
            elif action.kind == shell_actions.WRITE or via:
                loads = loads or shell_text.waits(text)
                reason = None if loads else 'ip_vs is not loaded yet when rc.local runs at boot'
                again = shell_text.loop_seconds(text, action.line)
                place, line, written, via = shell_actions.place_of(action, script, via, (path, None, None))
                found.append(
                    writer(
                        'rc_local',
                        place,
                        line,
                        written,
                        value,
                        [REBOOT] if loads else [],
                        ['rc.local'],
                        reason=reason,
                        period_seconds=again,
                        via=via,
                        waits=shell_text.waits(text),
                    )
                )
    return found


def _kube_router(node, kube_proxy):
    """kube-router's service proxy sets 0 at each of its starts (cloudnativelabs/kube-router, network services controller).

    Beside kube-proxy it usually runs without it, for routes or network policy alone.
    """
    if not kube_proxy.get('kube_router'):
        return []
    found = [process for process in read_processes(node)[0] if process.uses == 'kube-router']
    flags = [
        re.match(r'--run-service-proxy=(?:0|f|false)$', word, re.I)
        for process in found
        for word in process.argv or []
        if word.startswith('--run-service-proxy')
    ]
    reason = 'kube-router runs without its service proxy' if flags and flags[-1] else None
    return [writer('kube_router', None, None, None, 0, [] if reason else [REBOOT], ['kube-router'], reason=reason)]


def _rank(entry):
    if KUBE_PROXY_RESTART in entry['moments'] and (entry.get('phase') == 'ExecStartPost' or entry.get('waits')):
        return LAST
    if entry.get('waits') and entry['kind'] in SOME_TIME_AFTER:
        return LAST
    if 'tuned' in entry['applied_by']:
        return BOOT_ORDER.index('tuned')
    return BOOT_ORDER.index(entry['kind'])


def _decide_winners(writers):
    """Mark at each moment the one writer that comes last; WRITERS are in the order in which they act."""
    for moment in (REBOOT, KUBELET_RESTART, KUBE_PROXY_RESTART):
        firing = [entry for entry in writers if moment in entry['moments'] and not entry['period_seconds']]
        for entry in firing[-1:]:
            entry['wins'].append(moment)
        for entry in firing[:-1]:
            entry['reason'] = entry['reason'] or 'overridden by %s' % (firing[-1]['path'] or firing[-1]['kind'])


def read_writers(node, kernel, units, kube_proxy):
    """`writers` of docs/facts.md, in the order in which they act at boot.

    kernel, kube_proxy: those parts of the facts; units: systemd_units.Units.
    """
    files, actions, profiles = SysctlFiles(node), _udev_actions(node), TunedProfiles(node)
    in_time = bool(kernel.get('ip_vs_loaded_at_boot')) or kernel.get('ip_vs') == 'builtin'
    tuned_runs = (profiles.line is not None or profiles.applies_files_again) and units.is_enabled('tuned.service')

    def result_of(action):
        return _result_of(action, files)

    again = tuned_runs and in_time and profiles.applies_files_again
    writers = _modprobe(node, files) + _sysctl_files(files, _boot_program(files, units), in_time, actions, again)
    writers += _udev(actions, files) + _ufw(node, in_time) + _tuned(profiles, files, tuned_runs, in_time)
    writers += unit_writers.read_unit_writers(node, units, kube_proxy, in_time, result_of)
    writers += _rc_local(node, files, in_time) + read_cron(node, result_of) + _kube_router(node, kube_proxy)
    # sorted() is stable: of the same kind the later in the list acts later.
    writers = sorted(writers, key=_rank)
    _decide_winners(writers)
    for entry in writers:
        tell_line(node, entry)
    return writers
