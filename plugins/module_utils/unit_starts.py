# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which units start which, beyond the links of targets: by a setting of [Unit], by systemctl in a command, and over several units."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import MAXIMUM_INSTANCES, PULLS

# What runs as long as its unit is active goes on when the unit is started again: these alone restart it.
RESTARTED_WITH = ('PartOf', 'Requires', 'BindsTo')
_SYSTEMCTL = re.compile(r'\bsystemctl\s+([^;&|"\'<>()]{1,1000})')
_WITH_NOW = ('enable', 'reenable')
_RESTARTS = ('restart', 'reload-or-restart')


def commanded(command):
    """[(name of a unit, whether one that runs is restarted)] of what a command has systemd start."""
    found = []
    for text in _SYSTEMCTL.findall(command):
        words = text.split()
        names = [word for word in words if not word.startswith('-')]
        verb = names[0] if names else ''
        if verb == 'start' or verb in _RESTARTS or (verb in _WITH_NOW and '--now' in words):
            found += [(name if '.' in name else name + '.service', verb in _RESTARTS) for name in names[1:]]
    return found


def stays_active(unit):
    """Whether a unit stays active after its start, so that what wants it does not start it again."""
    if (unit.value('Service', 'Type') or 'simple') != 'oneshot':
        return True
    return (unit.value('Service', 'RemainAfterExit') or '').lower() in ('yes', 'true', '1', 'on')


class UnitStarts(object):
    """What starts the units of a node. units: systemd_units.Units, which reads each of them once."""

    def __init__(self, units):
        self._units = units
        # {name of a unit: names of those that start it}, by a setting, by a command, and by a command that restarts it too.
        self._pulled, self._commanded, self._restarted = {}, {}, {}
        self.instances = set()
        pending = units.with_files()
        while pending:
            unit = units.find(pending.pop())
            if unit is not None and not unit.masked:
                pending.extend(self._note(unit))

    def _note(self, unit):
        """Remember what a unit starts; those of the names that nobody has met."""
        pulled = unit.names_of(*PULLS)
        started = [pair for dummy, entry in unit.commands() if 'systemctl' in entry['value'] for pair in commanded(entry['value'])]
        for name in pulled:
            self._pulled.setdefault(self._units.real_name(name), set()).add(unit.name)
        for name, restarts in started:
            for known in [self._commanded] + ([self._restarted] if restarts else []):
                known.setdefault(self._units.real_name(name), set()).add(unit.name)
        new = sorted(name for name in pulled.union(name for name, dummy in started) if self._units.is_instance(name))
        new = [name for name in new if name not in self.instances][: MAXIMUM_INSTANCES - len(self.instances)]
        self.instances.update(new)
        return new

    def _pull(self, name):
        return self._units.linked_by(name) | self._pulled.get(name, set())

    def pulled_by(self, name):
        """The set of names of the units whose start starts this one, also over others: that these are active changes nothing for it."""
        found, pending = set(), [self._units.real_name(name)]
        while pending:
            new = self._pull(pending.pop()) - found
            found |= new
            pending.extend(new)
        return found

    def reach(self, name):
        """Whether what is started at boot comes to this unit, step by step, past none that is masked."""
        seen, pending = set(), [self._units.real_name(name)]
        while pending:
            name = pending.pop()
            unit = self._units.find(name)
            if name in seen or (unit is not None and unit.masked):
                continue
            if (seen and self._units.begins(name)) or self._units.timer_of(name):
                return True
            seen.add(name)
            pending.extend(self._pull(name) | self._commanded.get(name, set()))
            pending.extend(self._units.activators_of(name))
        return False

    def again_with(self, unit):
        """The set of names, aliases too, of the units whose start or restart runs this one's commands again.

        A dependency restarts a unit only while that is active, which a oneshot without RemainAfterExit= is not; but such a one is started again by
        whatever pulls it in.
        """
        found, seen, pending = set(), set(), [unit.name]
        while pending:
            name = pending.pop()
            current = self._units.find(name)
            if name in seen or current is None:
                continue
            seen.add(name)
            if stays_active(current):
                names, starters = set(self._units.real_name(other) for other in current.names_of(*RESTARTED_WITH)), self._restarted.get(name, set())
            else:
                names = self.pulled_by(name)
                starters = set(other for each in names.union([name]) for other in self._commanded.get(each, ()))
            found |= names | starters
            # A command runs when its own unit is started again.
            pending.extend(starters)
        return set(alias for name in found for alias in self._units.all_names(name))
