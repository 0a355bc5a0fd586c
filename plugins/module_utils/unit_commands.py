# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that systemd units start, with their variables filled in, and the unit of a program."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import fnmatch
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import expanded, split_command

# More are no configuration.
MAXIMUM_FILES = 100


def _matching(node, pattern):
    """The paths that a pattern of glob(7) names, in their order."""
    found = ['']
    for part in pattern.split('/')[1:]:
        if any(character in part for character in '*?['):
            found = [path + '/' + name for path in found for name in fnmatch.filter(node.names(path or '/') or [], part) if part[0] == '.' or name[0] != '.']
        else:
            found = [path + '/' + part for path in found]
        found = found[:MAXIMUM_FILES]
    return sorted(found)


def environment_files(node, unit):
    """The paths of a unit's environment files that are there, in the order in which they are read."""
    found = []
    for entry in unit.values('Service', 'EnvironmentFile'):
        path = expanded(entry['value'].lstrip('-'), unit.name)
        if path.startswith('/'):
            found.extend(name for name in _matching(node, path) if node.kind(name) == 'file')
    return found


def environment_of(node, unit):
    """{name: value} of a unit's Environment= and EnvironmentFile=."""
    found = {}
    for entry in unit.values('Service', 'Environment'):
        for word in split_command(entry['value']):
            name, separator, value = word.partition('=')
            if separator:
                found[name] = expanded(value, unit.name)
    for path in environment_files(node, unit):
        text = (node.text(path) or '').replace('\\\n', ' ')
        for name, value in re.findall(r'(?m)^[ \t]*(?:export[ \t]+)?(\w+)=("[^"]*"|\'[^\']*\'|.*)', text):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in '"\'':
                value = value[1:-1]
            found[name] = value
    return found


def command_of(node, unit):
    """The words of a unit's ExecStart with its variables filled in."""
    starts = unit.values('Service', 'ExecStart')
    if not starts:
        return []
    environment = environment_of(node, unit)

    def value_of(match):
        # Inside of a word systemd fills in ${NAME} alone; what a shell makes of $NAME is known if it has that from here.
        return environment.get(match.group(1) or match.group(2), '' if match.group(1) else match.group(0))

    words = []
    for word in split_command(starts[-1]['value']):
        word = expanded(word, unit.name)
        whole = re.match(r'^\$(\w+)$', word)
        if whole:
            # $NAME alone is split into words, ${NAME} is not (systemd.service(5)).
            words.extend(environment.get(whole.group(1), '').split())
        else:
            words.append(re.sub(r'\$(?:\{(\w+)\}|(\w+))', value_of, word))
    return [word for word in words if word]


def find_unit_of(units, names, program_test):
    """The unit whose ExecStart passes PROGRAM_TEST, a function of its words, or None. Of several the one that is enabled.

    names: of the programs, one of which stands in the line; most units are passed over by that alone.
    """
    found = []
    for name in units.names():
        unit = units.find(name)
        if unit is None or unit.masked:
            continue
        lines = [entry['value'] for entry in unit.values('Service', 'ExecStart')]
        if any(program in line and program_test(split_command(line)) for line in lines for program in names):
            found.append(unit)
    return sorted(found, key=lambda unit: (not unit.enabled, unit.name))[0] if found else None
