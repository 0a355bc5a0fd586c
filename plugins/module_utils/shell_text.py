# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What shell text does to the value. The text is only looked at, never run."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

KEY = r'net[./]ipv4[./]vs[./]conn_reuse_mode'
_KEY = re.compile(KEY)
_ASSIGNED = re.compile(KEY + r'["\']?\s*=\s*["\']?(-?\d+)?')
_ECHOED = re.compile(r'(?:\becho|\bprintf)\s+(?:-\w+\s+)*["\']?(?:%s\\n["\']?\s+["\']?)?(-?\d+)?')
_REDIRECTED = re.compile(r'(?:>\s*|\btee\s+(?:-\w+\s+)*)["\']?\S*/' + KEY)
_SYSCTL = re.compile(r'(?:^|[\s;&|(`/])sysctl(?=\s|$)')
_SYSTEM = re.compile(r'(?:^|[\s;&|(`/])sysctl\s[^;&|]*--system')
_FROM_FILE = re.compile(r'(?:^|[\s;&|(`/])sysctl\s(?:[^;&|]*\s)?(?:-[a-zA-Z]*p|--load)(?:[=\s]+([^\s;&|>)]+))?')
_SERVICE = re.compile(r'systemd-sysctl|(?:systemctl|service)\s[^;&|]*\bprocps\b')
_MODPROBE = re.compile(r'\b(?:modprobe|insmod)\s(?:[^;&|]*\s)?(?:\S*/)?ip_vs(?:\.ko\S*)?(?=[\s;&|)]|$)')
_HEREDOC = re.compile(r'<<-?\s*["\']?(\w+)["\']?')
_WAITS = re.compile(r'\b(?:while|until|for|sleep|curl|wget|nc|ncat|inotifywait|timeout)\b|/dev/tcp/')
_SLEEP = re.compile(r'\bsleep\s+(\d+)')
_LOOP = re.compile(r'\bwhile\s+(?:true|:|\[\s*1|sleep)')

WRITE, SYSTEM, FILE, SERVICE, MODPROBE = 'write', 'system', 'file', 'service', 'modprobe'


class Action(object):
    """One thing that a line does. kind: write (the value), system, file (sysctl re-reads its files), service (systemd-sysctl), modprobe.

    value: what is written, None if it stands in a variable; argument: the file of `sysctl -p`; line: 1-based; text: the line.
    """

    def __init__(self, kind, line, text, value=None, argument=None):
        self.kind, self.line, self.text, self.value, self.argument = kind, line, text.strip()[:200], value, argument


def _lines(text):
    """(number, line) of the commands: comments and here-documents left out, continued lines joined."""
    pending, began, ending = '', 0, None
    for number, line in enumerate(text.split('\n'), 1):
        line = line.rstrip('\r')
        if ending is not None:
            if line.strip() == ending:
                ending = None
            continue
        if not pending and line.lstrip().startswith('#'):
            continue
        if pending:
            line, number = pending + ' ' + line.strip(), began
        if line.endswith('\\'):
            pending, began = line[:-1], number
            continue
        pending = ''
        document = _HEREDOC.search(line)
        if document and '<<<' not in line:
            ending = document.group(1)
        yield number, re.sub(r'(?:^|\s)#\s.*$', '', line)
    if pending:
        yield began, pending


def _write_of(line):
    """(True, value) if a line writes the value, value None if it cannot be read from the text."""
    if not _KEY.search(line):
        return False, None
    if _REDIRECTED.search(line):
        echoed = _ECHOED.search(line)
        return True, int(echoed.group(1)) if echoed and echoed.group(1) else None
    assigned = _ASSIGNED.search(line)
    if assigned and _SYSCTL.search(line):
        return True, int(assigned.group(1)) if assigned.group(1) else None
    return False, None


def read_actions(text):
    """The Actions of shell text, in order."""
    actions = []
    for number, line in _lines(text):
        if _MODPROBE.search(line):
            actions.append(Action(MODPROBE, number, line))
        writes, value = _write_of(line)
        if writes:
            actions.append(Action(WRITE, number, line, value))
        elif _SYSTEM.search(line):
            actions.append(Action(SYSTEM, number, line))
        elif _SERVICE.search(line):
            actions.append(Action(SERVICE, number, line))
        elif _SYSCTL.search(line):
            loaded = _FROM_FILE.search(line)
            if loaded:
                argument = (loaded.group(1) or '').strip('"\'')
                actions.append(Action(FILE, number, line, argument=argument if argument.startswith('/') else '/etc/sysctl.conf'))
    return actions


def waits(text):
    """Whether shell text waits for something or goes on and on."""
    return any(_WAITS.search(line) for dummy, line in _lines(text))


def loop_seconds(text):
    """The pause of an endless loop in seconds, or None if there is none."""
    code = '\n'.join(line for dummy, line in _lines(text))
    if not _LOOP.search(code):
        return None
    pauses = [int(number) for number in _SLEEP.findall(code)]
    return max(pauses + [1])
