# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The commands that systemd units start, with their variables filled in, and the unit of a program."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import split_command


def environment_of(node, unit):
    """{name: value} of a unit's Environment= and EnvironmentFile=."""
    found = {}
    for entry in unit.values('Service', 'Environment'):
        found.update(re.findall(r'(\w+)=(\S*)', ' '.join(split_command(entry['value']))))
        for word in split_command(entry['value']):
            name, separator, value = word.partition('=')
            if separator:
                found[name] = value
    for entry in unit.values('Service', 'EnvironmentFile'):
        path = entry['value'].lstrip('-').replace('%N', unit.name.rpartition('.')[0]).replace('%n', unit.name)
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
    words = []
    for word in split_command(starts[-1]['value']):
        whole = re.match(r'^\$(\w+)$', word)
        if whole:
            # $NAME alone is split into words, ${NAME} is not (systemd.service(5)).
            words.extend(environment.get(whole.group(1), '').split())
        else:
            words.append(re.sub(r'\$\{?(\w+)\}?', lambda match: environment.get(match.group(1), ''), word))
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
