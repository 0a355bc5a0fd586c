# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Shell text as lines, pipelines and words: as much of sh(1) as it takes to look at a script without running it."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

_HERE_DOCUMENT = re.compile(r'<<-?\s*(?:\\|["\'])?([A-Za-z_]\w*)["\']?')
_KEYWORDS = ('if', 'then', 'elif', 'else', 'do', 'while', 'until', '!', '{', '(', 'time', 'exec', 'sudo', 'nohup', 'command')
# Commands that only show, search or edit text, or act on another machine: what stands behind them is not done here.
_PASSIVE = (
    'echo',
    'printf',
    'logger',
    'log',
    'grep',
    'egrep',
    'fgrep',
    'sed',
    'awk',
    'cat',
    'test',
    '[',
    '[[',
    'cp',
    'ls',
    'ssh',
    'kubectl',
    'alias',
    'export',
    'return',
)
_ASSIGNMENT = re.compile(r'(?:^|[\s;&|({])([A-Za-z_]\w*)\+?=("[^"]*"|\'[^\']*\'|[^\s;&|()]*)')
_SET_OTHERWISE = re.compile(r'(?:^|[\s;&|({])(?:read\s+(?:-\w+\s+)*|for\s+|getopts\s+\S+\s+)([A-Za-z_]\w*)')
_LOOP = re.compile(r'(?:^|[\s;&|({])for\s+([A-Za-z_]\w*)\s+in\s([^;\n]*)')
_CONSTANT = re.compile(r'^[^$`*?]*$')
_VARIABLE = re.compile(r'\$(?:\{([A-Za-z_]\w*)\}|([A-Za-z_]\w*))')
_DEPTH = 3
# Longer lines hold data, not commands.
MAXIMUM_LINE = 4096


def _without_comment(line):
    """LINE up to a # that begins a comment, that is, outside of quotes and behind white space."""
    quote = ''
    for position, character in enumerate(line):
        if quote:
            quote = '' if character == quote else quote
        elif character in '"\'':
            quote = character
        elif character == '#' and (position == 0 or line[position - 1] in ' \t;'):
            return line[:position]
    return line


def logical_lines(text):
    """[(number, line, document)]: comments left out, continued lines joined; document is the text of a here-document behind the line, or ''."""
    found = []
    pending, began, ending, document = '', 0, None, []
    for number, line in enumerate(text.split('\n'), 1):
        line = line.rstrip('\r')
        if ending is not None:
            if line.strip() != ending:
                document.append(line)
                continue
            ending = None
            found[-1] = found[-1][:2] + ('\n'.join(document),)
            continue
        if pending:
            line, number = pending + ' ' + line.strip(), began
        if '#' in line:
            line = _without_comment(line)
        if line.endswith('\\'):
            pending, began = line[:-1], number
            continue
        pending = ''
        if line.strip():
            found.append((number, line[:MAXIMUM_LINE], ''))
            here = _HERE_DOCUMENT.search(line.replace('<<<', '')) if '<<' in line and '((' not in line else None
            if here:
                ending, document = here.group(1), []
    if pending.strip():
        found.append((began, pending[:MAXIMUM_LINE], ''))
    return found


def pipelines(line):
    """LINE cut at ; && || and &, outside of quotes."""
    found, quote, start, position = [], '', 0, 0
    while position < len(line):
        character = line[position]
        if quote:
            quote = '' if character == quote else quote
        elif character in '"\'':
            quote = character
        elif character == '\\':
            position += 1
        elif (
            character == ';'
            or line[position : position + 2] in ('&&', '||')
            or (character == '&' and line[position - 1 : position] not in ('>', '<') and line[position + 1 : position + 2] != '>')
        ):
            found.append(line[start:position])
            position += 1 if line[position : position + 2] in ('&&', '||') else 0
            start = position + 1
        position += 1
    return found + [line[start:]]


def bare(pipeline):
    """PIPELINE with the >| of a forced redirection written as >, so that each | left joins two commands."""
    return pipeline.replace('>|', '>')


def program_of(command):
    """The word that says what a command runs, keywords and variables before it left out; None if it does nothing on this node by itself."""
    for word in command.replace('(', ' ( ').split():
        word = word.strip('"\'`')
        if word in _KEYWORDS or re.match(r'[A-Za-z_]\w*=', word):
            continue
        name = word.rpartition('/')[2]
        return None if name in _PASSIVE else name
    return None


def _filled(text, constants):
    # Variables made of variables grow without end.
    return _VARIABLE.sub(lambda found: constants.get(found.group(1) or found.group(2), found.group(0)), text)[:MAXIMUM_LINE]


def loops_of(text):
    """[(variable, words)] of the loops over lists."""
    return [(name, [word.strip('"\'') for word in words.split()]) for name, words in _LOOP.findall(text)]


def _turns(text, constants, wanted):
    """{variable of a loop: the word of its list that is WANTED}, of those that one loop alone sets."""
    found, seen = {}, set()
    for name, words in loops_of(text):
        turns = [turn for word in words for turn in _filled(word, constants).split() if wanted.search(turn)]
        found[name] = turns[0] if turns and name not in seen else None
        seen.add(name)
    return dict((name, turn) for name, turn in found.items() if turn is not None)


def with_constants(lines, wanted=None):
    """LINES with the variables filled in that are set once, and to plain text, or by a loop: then as in the turn whose word is WANTED, an expression."""
    text = '\n'.join(lines)
    loops = wanted is not None and _LOOP.search(text) is not None
    if '$' not in text or not ('=' in text or loops):
        return lines
    values, several = {}, set(_SET_OTHERWISE.findall(text))
    for name, value in _ASSIGNMENT.findall(text):
        if name in values:
            several.add(name)
        values[name] = value.strip('"\'')
    assigned, constants = set(values), {}
    for dummy in range(_DEPTH):
        constants = dict((name, value) for name, value in values.items() if name not in several and _CONSTANT.match(value))
        values = dict((name, _filled(value, constants)) for name, value in values.items())
    if loops:
        constants.update((name, turn) for name, turn in _turns(text, constants, wanted).items() if name not in assigned)
    return [_filled(line, constants) for line in lines]
