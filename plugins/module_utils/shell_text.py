# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What shell text does to the value. The text is only looked at, never run."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_actions import FILE, MODPROBE, RELEVANT, SERVICE, SYSTEM, WRITE, Action
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_words import bare, logical_lines, loops_of, pipelines, program_of, with_constants
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl_files import KEY as KEY_PATH, last_word, parse

KEY = r'net[./]ipv4[./]vs[./]conn_reuse_mode'
_BEFORE = r'(?:^|[\s;&|(`/"\'])'
_NAMES_KEY = re.compile(r'(?:^|[./])conn_reuse_mode(?:=-?[0-9]*)?$')
_ASSIGNED = re.compile(KEY + r'["\']?\s*=\s*["\']?(-?[0-9]{1,18}(?![0-9]))?')
# Words are skipped by number, never "as many as there are": else the time that a line takes grows with the square or the cube of its length.
_ECHOED = re.compile(r'\b(?:echo|printf)\s+(?:-\w+\s+){0,4}["\']?(?:%[sd](?:\\n)?["\']?\s+["\']?)?(-?[0-9]{1,18}(?![0-9]))?')
_REDIRECTED = re.compile(r'(?:>\|?\s*|\btee\s+(?:-\S+\s+){0,4})["\']?[^\s"\';&|<>]*/' + KEY + r'\b')
_REDIRECTED_HERE = re.compile(r'(?:>\|?\s*|\btee\s+(?:-\S+\s+){0,4})["\']?(?:\./)?conn_reuse_mode\b')
_GIVEN = re.compile(r'<<<\s*["\']?(-?[0-9]{1,18}(?![0-9]))')
_SYSCTL = re.compile(_BEFORE + r'sysctl(?=\s|$)(.*)')
_ELSEWHERE = re.compile(r'\s*(?:sudo\s+)?(?:ssh|scp|kubectl|ansible)\s')
_STANDARD_INPUT = ('-', '/dev/stdin')
_SERVICE = re.compile(
    r'systemctl\s+(?:\S+\s+){0,8}?(?:try-|reload-or-){0,2}(?:re)?start\s+(?:\S+\s+){0,20}?(?:systemd-sysctl|procps)\b|/systemd-sysctl(?=\s|$)|'
    r'(?:\bservice\s+|/etc/init\.d/)procps\s+(?:force-)?(?:re)?(?:start|load)'
)
_OPENRC = re.compile(r'\b(?:rc-service|service)\s+sysctl\s+(?:re)?start')
_PREFIX = re.compile(r'--prefix[=\s]+["\']?([^\s"\']+)')
_LOADER = re.compile(r'\b(?:modprobe|insmod)\s')
_IP_VS = re.compile(r'(?:^|[\s"\'/])ip_vs(?:_\w+)?(?:\.ko\S*)?(?=["\'\s;&|)]|$)')
_MODPROBE_OF_VARIABLE = re.compile(r'\bmodprobe\s[^;&|]*\$')
_MODULE = re.compile(r'(?:^|[\s"\'=(])ip_vs(?:_\w+)?(?=[\s"\');]|$)')
_MODPROBE = re.compile(r'\bmodprobe\s')
_REMOVES = re.compile(r'\s-\w*r')
_PAUSE = re.compile(r'\b(?:sleep|usleep|curl|wget|nc|ncat|inotifywait)\b|/dev/tcp/')
# A loop over arguments or the lines of a file ends at once; any other may wait for something.
_WAITING_LOOP = re.compile(r'(?:^|[;&|({]|\bdo\b|\bthen\b|\belse\b)\s*(?:until\s|while\s+(?!(?:IFS=\S*\s+)?read\b|getopts\b|\[\[?\s*["\']?\$[#{]))')
_ENDLESS = re.compile(r'\bwhile\s+(?:true\b|:|\[\[?\s*["\']?1|\(\(\s*1|/bin/true|sleep\b)|\buntil\s+(?:false\b|/bin/false)|\bfor\s*\(\(\s*;\s*;\s*\)\)')
_SLEEP = re.compile(r'\bsleep\s+["\']?([0-9]{1,9}(?:\.[0-9]{1,9})?)?([smhd]?)')
_WATCH = re.compile(_BEFORE + r'watch\s+(?:\S+\s+){0,8}?(?:-n\s*|--interval[=\s])([0-9]{1,9})')
_LOOP_WORD = re.compile(r'(?:^|[\s;&|({])(do|done)(?=$|[\s;&|)}<>])')
_UNITS_OF_SLEEP = {'': 1, 's': 1, 'm': 60, 'h': 3600, 'd': 86400}
# What a loop with a pause that cannot be read is taken for.
UNKNOWN_PAUSE = 60

MAIN_FILE = '/etc/sysctl.conf'


def _behind(program, argument, text):
    """Whether ARGUMENT is found behind the first PROGRAM of a text; both are expressions."""
    found = program.search(text)
    return found is not None and argument.search(text, found.end() - 1) is not None


def _value_sent(pipeline, position):
    """The number that the last echo or printf before POSITION sends into the file, or None."""
    given = _GIVEN.search(pipeline)
    if given:
        return int(given.group(1))
    echoed = list(_ECHOED.finditer(pipeline[:position]))
    return int(echoed[-1].group(1)) if echoed and echoed[-1].group(1) else None


def _written(pipeline, in_directory):
    """(True, value) if a pipeline writes the value itself, value None if it cannot be read from the text."""
    if _ELSEWHERE.match(pipeline):
        return False, None
    redirected = _REDIRECTED.search(pipeline) or (in_directory and _REDIRECTED_HERE.search(pipeline))
    if redirected:
        return True, _value_sent(pipeline, redirected.start())
    for part in bare(pipeline).split('|'):
        program = program_of(part)
        if program is None or not _SYSCTL.search(part):
            continue
        assigned = list(_ASSIGNED.finditer(pipeline if program == 'xargs' else part))
        if assigned:
            return True, int(assigned[-1].group(1)) if assigned[-1].group(1) else None
    return False, None


def _files_loaded(arguments):
    """The files that `sysctl ARGUMENTS` reads ([None] for its own), or None if it reads none."""
    loads, files = False, []
    for word in re.sub(r'[0-9]*[<>]+&?\s*\S*', ' ', arguments).split():
        word = word.strip('"\'`()')
        long_form = re.match(r'--load(?:=(.*))?$', word)
        short_form = re.match(r'-[a-zA-Z]*p[a-zA-Z]*(/.*)?$', word)
        if long_form or short_form:
            loads = True
            files += [name for name in (long_form or short_form).groups() if name]
        elif word and (not word.startswith('-') or word == '-'):
            files.append(word)
    return (files or [None]) if loads else None


def _of_sysctl(arguments, number, line, given):
    """The Actions of a sysctl command that names no key. given: what it can read from its standard input."""
    if re.search(r'(?:^|\s)--system\b', arguments):
        return [Action(SYSTEM, number, line)]
    actions = []
    for name in _files_loaded(arguments) or []:
        if name in _STANDARD_INPUT:
            winner = last_word(parse(given, name))
            if winner:
                actions.append(Action(WRITE, number, line, winner.value))
        elif name is None or name.startswith('/'):
            actions.append(Action(FILE, number, line, argument=name or MAIN_FILE))
    return actions


def _of_pipeline(pipeline, number, line, document, in_directory):
    """The Actions of one pipeline. document: the text of a here-document behind it."""
    actions = []
    if program_of(pipeline) is not None and _behind(_LOADER, _IP_VS, pipeline) and not _behind(_MODPROBE, _REMOVES, pipeline):
        actions.append(Action(MODPROBE, number, line))
    writes, value = _written(pipeline, in_directory)
    if writes:
        return actions + [Action(WRITE, number, line, value)]
    for part in bare(pipeline).split('|'):
        if program_of(part) is None:
            continue
        found = _SYSCTL.search(part)
        if _SERVICE.search(part):
            prefixes = [prefix.replace('.', '/').replace('/proc/sys/', '/').strip('/') for prefix in _PREFIX.findall(part)]
            if not prefixes or any(KEY_PATH.startswith(prefix) for prefix in prefixes):
                actions.append(Action(SERVICE, number, line))
        elif _OPENRC.search(part):
            actions.append(Action(SYSTEM, number, line))
        elif found:
            given = document or '\n'.join(re.findall(r'(?<![\w./-])[\w./-]+\s*=\s*-?[0-9]{1,18}', pipeline))
            actions.extend(_of_sysctl(found.group(1), number, line, given))
    return actions


def _goes_through_keys(line):
    """Whether a loop in a line goes through keys, this one among them."""
    return any(_NAMES_KEY.search(word) for dummy, words in loops_of(line) for word in words)


def actions_in(text):
    """The Actions of shell text, in order; see shell_actions.read_actions()."""
    actions, modules, in_directory = [], False, 'ipv4/vs' in text
    lines = logical_lines(text)
    for (number, line, document), expanded in zip(lines, with_constants([entry[1] for entry in lines], _NAMES_KEY)):
        modules = modules or bool(_MODULE.search(expanded))
        if modules and _MODPROBE_OF_VARIABLE.search(expanded) and not _behind(_MODPROBE, _REMOVES, expanded):
            actions.append(Action(MODPROBE, number, line))
        if RELEVANT.search(expanded):
            for pipeline in pipelines(expanded):
                found = _of_pipeline(pipeline, number, line, document, in_directory)
                if pipeline not in line and _goes_through_keys(line):
                    # Another number in this line would be one for the other keys too: nobody is to write one there.
                    found = [Action(WRITE, number, line) if action.kind == WRITE else action for action in found]
                actions.extend(found)
    return actions


def waits(text):
    """Whether shell text waits for something or goes on and on. A loop that only goes through a list does not."""
    return any(_PAUSE.search(line) or _WAITING_LOOP.search(line) or _WATCH.search(line) for dummy, line, dummy in logical_lines(text))


def _pause_of(code):
    pauses = [float(number) * _UNITS_OF_SLEEP[unit] if number else UNKNOWN_PAUSE for number, unit in _SLEEP.findall(code)]
    return max([int(pause) for pause in pauses] + [1])


def _loop_at(lines):
    """Those of LINES up to the `done` that ends the loop of the first."""
    depth, begun = 0, False
    for count, (dummy, code) in enumerate(lines, 1):
        for word in _LOOP_WORD.findall(code):
            depth += 1 if word == 'do' else -1
            begun = True
        if begun and depth <= 0:
            return lines[:count]
    return lines


def loop_seconds(text, line=None):
    """The pause of an endless loop in seconds, or None if there is none, or if LINE (1-based) is not in it."""
    if 'watch' in text:
        # Line by line: their length has a limit, and what a regular expression takes grows with its square.
        watched = [found for found in (_WATCH.search(code) for dummy, code, dummy in logical_lines(text)) if found]
        if watched:
            return max(int(watched[0].group(1)), 1)
    if not _ENDLESS.search(text):
        return None
    lines = [(number, code) for number, code, dummy in logical_lines(text)]
    for start, (dummy, code) in enumerate(lines):
        if not _ENDLESS.search(code):
            continue
        inside = _loop_at(lines[start:])
        if line is None or any(number == line for number, dummy in inside):
            return _pause_of('\n'.join(more for dummy, more in inside))
    return None
