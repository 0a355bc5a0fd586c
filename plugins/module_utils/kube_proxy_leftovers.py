# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Removes from a node what kube-proxy of other modes left behind: the course of one run."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import ipset_netlink, owned_services, proven_mode
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import node_addresses
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_programs import IptablesError, Iptables
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_rules import OwnedChains, fits
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.leftovers_kernel import NodeKernel
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.leftovers_state import State, shown, summary
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_lock import CannotLock, one_at_a_time
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.owned_leftovers import owned_sets, why_unusable
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl import same_namespace

LOCK_PATH = '/run/kubeproxy.ipvs.leftovers.lock'
DUMMY = 'dummy'
LAST_LOOK_SECONDS = 20
# A set stays in use for a moment after the last rule that used it is gone.
SET_SECONDS, SET_PAUSE_SECONDS = 3, 0.1


class Stop(Exception):
    """Nothing more may be removed; the text is why."""


class KubeProxyLeftovers(object):
    """One run of the module.

    asked: its options. find_program: path of a program by its name, or None. kernel, iptables, look_at_mode: in place of NodeKernel, Iptables and
    proven_mode.look.
    """

    def __init__(self, node, asked, find_program, kernel=None, iptables=None, look_at_mode=proven_mode.look, lock_path=LOCK_PATH):
        self._node, self._asked, self._lock_path, self._look_at_mode = node, asked, lock_path, look_at_mode
        self._kernel = kernel or NodeKernel(node)
        self._iptables = iptables or Iptables(node, find_program)
        self._owned = dict(asked['owned'])
        self._chains = OwnedChains(self._owned['chains'])
        self._deadline = clock() + asked['timeout_seconds']
        nothing = summary(0, None, [], [], [])
        self.result = {
            'changed': False,
            'found': nothing,
            'removed': dict(nothing),
            'remaining': dict(nothing),
            'drained': {'seconds': 0.0, 'active_connections_left': 0},
            'kept': [],
            'problems': [],
        }
        self.before = self.after = ''
        self._chains_stay, self._used_sets = False, []

    def run(self, check_mode=False):
        """Do it, and fill in the result."""
        try:
            problem = why_unusable(self._owned)
            if problem:
                raise Stop(problem)
            if check_mode:
                self._foresee()
            else:
                with one_at_a_time(self._lock_path, self._deadline, 'removes leftovers of kube-proxy'):
                    self._clear()
        except (Stop, CannotLock, IptablesError) as error:
            self._problem(str(error))
        except NetlinkError as error:
            self._problem('the kernel refused: %s' % error)
        finally:
            self._kernel.close()

    def _problem(self, sentence):
        if sentence not in self.result['problems']:
            self.result['problems'].append(sentence)

    def _in_time(self):
        if clock() >= self._deadline:
            raise Stop('not done within %d seconds; the next run goes on from here' % self._asked['timeout_seconds'])

    # What is there

    def _told_apart(self):
        services = self._kernel.services() if self._owned['services'] else []
        return owned_services.told_apart(self._node, services, self._asked['exclude_cidrs'])

    def _why_kept(self, link, services):
        """Why an interface must stay, a sentence, or None."""
        if link.kind != DUMMY:
            return 'the interface %s is of the kind %s, not %s: it stays' % (link.name, link.kind or 'that has no name', DUMMY)
        addresses = set(address for name, address in node_addresses(self._node) or [] if name == link.name)
        others = services.foreign_on(addresses)
        if others:
            return 'the interface %s stays, because it has addresses of IPVS services of others: %s' % (link.name, ', '.join(others[: owned_services.WORST]))
        return None

    def _look(self, first=False):
        """The State now. first: whether it must be proved that the rules of the new mode are there."""
        state = State()
        written = self._owned.get('written') or []
        found = self._iptables.look(self._chains, [row['table'] for row in written], self._deadline)
        state.problems.extend(found.problems)
        proved = not first or not written or any(fits(row, table, chain) for row in written for table, chain in found.chains)
        for rule_set in found.rule_sets:
            for table in rule_set.tables:
                self._in_time()
                if table in self._chains.tables:
                    removal = rule_set.removal(table, self._chains, self._deadline)
                    if removal or removal.kept:
                        state.chains.append((rule_set, removal))
                proved = proved or rule_set.has_chain(table, written, self._deadline)
        if not proved:
            raise Stop('kube-proxy in the mode %s has not written its own rules yet: nothing was removed' % self._asked['mode'])
        state.services = self._told_apart()
        state.links = [link for link in (self._kernel.find_link(name) for name in self._owned['interfaces']) if link is not None]
        state.sets = self._sets()
        for link in state.links:
            reason = self._why_kept(link, state.services)
            if reason:
                state.kept.append((link.name, reason))
        return state

    def _sets(self):
        """The sets that go. Nothing is asked where none can."""
        wanted = self._owned['sets']
        return owned_sets(self._kernel.set_names(), wanted) if wanted.get('names') or wanted.get('prefixes') else []

    def _whys(self, state):
        """A sentence for each thing that stays on purpose."""
        sentences = [reason for dummy, reason in state.kept]
        for rule_set, removal in state.chains:
            for chain in sorted(removal.kept)[: owned_services.WORST]:
                sentences.append(
                    'the chain %s of the table %s (%s, %s) stays, because a rule that is not of kube-proxy needs it: %s'
                    % (chain, removal.table, rule_set.family, rule_set.variant, shown(removal.kept[chain]))
                )
        undecided = [owned_services.endpoint(service) for service, reason in state.services.foreign if reason == owned_services.UNKNOWN]
        if undecided:
            sentences.append('nobody can tell whose these IPVS services are, so that they stay: %s' % ', '.join(undecided[: owned_services.WORST]))
        return sentences

    @staticmethod
    def _of(state):
        return summary(len(state.services.owned), state.services, [link.name for link in state.links], state.chain_rows(True), state.sets)

    def _begin(self):
        """Whether anything may be removed at all, and what there is. Raises Stop."""
        facts, health = self._look_at_mode(self._node)
        reason = proven_mode.why_not(facts, health, self._asked['mode'], self._asked['unproven_mode'])
        if reason:
            raise Stop(reason + ': nothing was removed')
        if not same_namespace('self', 1):
            raise Stop('Ansible itself is not in the network namespace of the host here, so that it sees other rules and Services')
        state = self._look(first=True)
        self.before = self.after = self._text(state)
        self.result['found'] = self.result['remaining'] = self._of(state)
        self.result['kept'] = self._whys(state)
        for problem in state.problems:
            self._problem(problem)
        return state

    @staticmethod
    def _text(state):
        return ''.join(line + '\n' for line in state.lines())

    # What is done

    def _foresee(self):
        state = self._begin()
        self.result['drained'] = owned_services.drain(self._node, state.services.owned, 0)
        stays = State()
        stays.services = owned_services.Services([], None, [])
        stays.services.foreign = state.services.foreign
        names = [name for name, dummy in state.kept]
        stays.links = [link for link in state.links if link.name in names]
        stays.chains = [(rule_set, removal.what_stays()) for rule_set, removal in state.chains if removal.kept]
        goes = [link.name for link in state.links if link.name not in names]
        self.result['removed'] = summary(len(state.services.owned), None, goes, state.chain_rows(False), state.sets)
        self.result['remaining'] = self._of(stays)
        self.after = self._text(stays)
        self.result['changed'] = self.before != self.after

    def _clear(self):
        before = self._begin()
        try:
            # The order. Connections end by themselves before their services go. The services go before the interface: only by its addresses
            # it is known which are kube-proxy's. The interface goes before the chains: while its addresses are local, some of the chains keep
            # clients away from programs of the node that listen on all addresses. A set can be destroyed only when no rule uses it.
            if before.services.owned:
                self.result['drained'] = owned_services.drain(self._node, before.services.owned, self._asked['drain_seconds'])
                self._deadline += self.result['drained']['seconds']
            self._remove_services()
            self._remove_links()
            self._remove_chains()
            self._remove_sets()
        except (Stop, IptablesError) as error:
            self._problem(str(error))
        except NetlinkError as error:
            self._problem('the kernel refused: %s' % error)
        # What is left is told also of a run that did not come to its end.
        self._deadline = max(self._deadline, clock() + LAST_LOOK_SECONDS)
        after = self._look()
        self.result['remaining'] = self._of(after)
        self.result['kept'] = self._whys(after) + self._used_sets
        self.after = self._text(after)
        self._count(before, after)

    def _count(self, before, after):
        """`removed`: what was there and is no more."""
        rows, links = after.chain_rows(True), [link.name for link in after.links]
        left = set((row['table'], row['chain'], row['family'], row['variant']) for row in rows)
        chains = [row for row in before.chain_rows(True) if (row['table'], row['chain'], row['family'], row['variant']) not in left]
        services = set(before.services.owned) - set(after.services.owned)
        gone = [link.name for link in before.links if link.name not in links]
        self.result['removed'] = summary(len(services), None, gone, chains, [name for name in before.sets if name not in after.sets])
        # Jumps that went while their chain had to stay are a change too.
        self.result['changed'] = self.before != self.after

    def _remove_services(self):
        for service in self._told_apart().owned:
            self._in_time()
            try:
                self._kernel.delete_service(service)
            except NetlinkError as error:
                raise Stop('the IPVS service %s cannot be deleted: %s' % (owned_services.endpoint(service), error))

    def _remove_links(self):
        for name in self._owned['interfaces']:
            self._in_time()
            link = self._kernel.find_link(name)
            services = self._told_apart()
            if services.owned:
                raise Stop('%d IPVS services of kube-proxy are there again: something still writes them' % len(services.owned))
            if link is None or self._why_kept(link, services):
                continue
            try:
                self._kernel.delete_link(link)
            except NetlinkError as error:
                raise Stop('the interface %s cannot be removed: %s' % (name, error))

    def _remove_chains(self):
        found = self._iptables.look(self._chains, [], self._deadline)
        for rule_set in found.rule_sets:
            for table in rule_set.tables:
                self._in_time()
                try:
                    if rule_set.remove(table, self._chains, self._deadline).kept:
                        self._chains_stay = True
                except IptablesError as error:
                    # The others can go nevertheless.
                    self._problem(str(error))

    def _remove_sets(self):
        patience = min(clock() + SET_SECONDS, self._deadline)
        for name in self._sets():
            self._in_time()
            try:
                while not self._try_to_destroy(name):
                    if clock() >= patience:
                        self._tell_of_used_set(name)
                        break
                    time.sleep(SET_PAUSE_SECONDS)
            except NetlinkError as error:
                self._problem('the set %s cannot be destroyed: %s' % (name, error))

    def _try_to_destroy(self, name):
        """Whether a set is gone. It is not while something uses it."""
        try:
            self._kernel.destroy_set(name)
        except ipset_netlink.Busy:
            return False
        return True

    def _tell_of_used_set(self, name):
        sentence = 'the set %s cannot be destroyed: a rule or another set uses it' % name
        if self._chains_stay:
            # It is as with the chains that stay on purpose.
            self._used_sets.append(sentence)
        else:
            self._problem(sentence)
