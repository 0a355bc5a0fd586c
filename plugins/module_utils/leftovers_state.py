# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What leftovers there are on a node at one moment, and how they are told."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible.module_utils.common.text.converters import to_text

MOST_CHAINS = 1000


class State(object):
    """What is on the node at one moment. chains: [(rule set, Removal)]."""

    def __init__(self):
        self.services = None
        self.links, self.chains, self.sets, self.kept, self.problems = [], [], [], [], []

    def chain_rows(self, with_kept):
        """[{table, chain, family, variant}] of the chains that go, and of those that must stay."""
        return [
            {'table': removal.table, 'chain': chain, 'family': rule_set.family, 'variant': rule_set.variant}
            for rule_set, removal in self.chains
            for chain in sorted(removal.chains + (list(removal.kept) if with_kept else []))
        ]

    def lines(self):
        """One line for each thing, for the diff."""
        lines = ['IPVS service ' + name for name in sorted(self.services.owned_named())] if self.services else []
        lines.extend('interface ' + link.name for link in self.links)
        for rule_set, removal in self.chains:
            place = '%s %s %s ' % (rule_set.family, rule_set.variant, removal.table)
            lines.extend(place + 'chain ' + chain for chain in sorted(removal.chains + list(removal.kept)))
            lines.extend(place + 'rule ' + shown(rule) for rule in removal.jumps)
        lines.extend('set ' + name for name in self.sets)
        return lines


def shown(rule):
    """A rule, whose bytes stand for themselves, as text of one line."""
    return to_text(rule.encode('latin-1'), errors='replace').replace('\n', ' ')


def summary(services, foreign, interfaces, chains, sets):
    return {
        'services': services,
        'foreign': len(foreign.foreign) if foreign else 0,
        'foreign_services': foreign.foreign_named() if foreign else [],
        'interfaces': interfaces,
        'chain_count': len(chains),
        'chains': chains[:MOST_CHAINS],
        'sets': sets,
    }
