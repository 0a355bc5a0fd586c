# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of a kube-proxy over time: which is there now, and how often it was started."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import DEAD, NUMBER, Placement, read_processes

# A look at all processes may take this share of the time.
SHARE = 0.2
SAME_SECONDS = 2.0


class Life(object):
    """One process from its start to its end. start: in ticks since the boot, which no clock that is set can change, unlike seconds."""

    def __init__(self, pid, start, parent, start_time=None):
        self.pid, self.start, self.parent, self.start_time = pid, start, parent, start_time
        self.seen_at = clock()

    @property
    def key(self):
        """What no other process has: the number alone is used again."""
        return self.pid, self.start


def life_of(node, pid):
    """The Life of process PID, None if it has ended."""
    # The name before the last parenthesis may hold anything.
    words = (node.text('/proc/%d/stat' % pid) or '').rpartition(')')[2].split()
    if len(words) < 20 or words[0].startswith(DEAD) or not NUMBER.match(words[19]):
        return None
    return Life(pid, int(words[19]), int(words[1]))


def lives_on(node, life):
    """Whether it is still the same process."""
    found = life_of(node, life.pid)
    return found is not None and found.key == life.key


class Starts(object):
    """Follows the kube-proxy that FACTS, `kube_proxy` of docs/facts.md, describe.

    before: its Life, None if it has ended or is not the process of the facts any more. started: the Lives that came after it.
    """

    def __init__(self, node, facts):
        self._node = node
        self._placement = self._uses = None
        self.before, self.present, self.started = None, None, []
        self._next_scan = 0
        for process in read_processes(node)[0]:
            life = life_of(node, process.pid)
            same = process.start_time is None or facts['start_time'] is None or abs(process.start_time - facts['start_time']) < SAME_SECONDS
            if process.pid == facts['pid'] and life is not None and same:
                self.before, self._placement, self._uses = life, Placement(process.cgroup), process.uses
        self._known = set(life.key for dummy, life in self._candidates())

    def _alike(self, process):
        """Whether a process is run in the way of the one that is followed: somebody may call the program by hand meanwhile."""
        if process.uses != self._uses or process.network_namespace == 'other':
            return False
        placement = Placement(process.cgroup)
        return placement.kind == self._placement.kind and (placement.kind != 'unit' or placement.unit == self._placement.unit)

    def _candidates(self):
        """[(process, its Life)] of all that can be the kube-proxy, without what one of them has just forked and what looks like it until exec."""
        if self._placement is None:
            return []
        found = [(process, life_of(self._node, process.pid)) for process in read_processes(self._node)[0] if self._alike(process)]
        found = [(process, life) for process, life in found if life is not None]
        parents = set(life.pid for dummy, life in found)
        return [(process, life) for process, life in found if life.parent not in parents]

    def look(self):
        """The Life of the newest kube-proxy that was started since the beginning and runs, or None."""
        if self.present is not None and lives_on(self._node, self.present):
            return self.present
        self.present = None
        began = clock()
        if began < self._next_scan:
            return None
        new = [(life.start, life, process) for process, life in self._candidates() if life.key not in self._known]
        self._next_scan = clock() + (clock() - began) * (1 - SHARE) / SHARE
        for dummy, life, process in sorted(new, key=lambda entry: entry[0]):
            life.start_time = process.start_time
            self._known.add(life.key)
            self.started.append(life)
            self.present = life
        return self.present

    def ended(self):
        """Whether the process from before has."""
        return self.before is None or not lives_on(self._node, self.before)
