# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is to be taken out of a table of iptables, from what `iptables-save` prints to what `iptables-restore --noflush` reads. Only text."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

# What iptables-save prints in quotes has backslashes before quotes and backslashes.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[^\s"]+|"', re.DOTALL)
_ESCAPED = re.compile(r'\\(.)', re.DOTALL)
_CHAIN = re.compile(r'^[^\s"\\\']{1,64}$')
_JUMPS = frozenset(('-j', '-g', '--jump', '--goto'))
# Matches whose argument may be any word, even one of those above.
_FREE_TEXT = frozenset(('--comment', '--string', '--hex-string', '--path', '--name', '--hashlimit-name', '--algo'))
BUILT_IN = frozenset(('PREROUTING', 'INPUT', 'FORWARD', 'OUTPUT', 'POSTROUTING'))


def unquoted(token):
    """The word that a token of iptables-save stands for."""
    return _ESCAPED.sub(r'\1', token[1:-1]) if len(token) > 1 and token[0] == token[-1] == '"' else token


class Rule(object):
    """One rule. chain: in which it is; target: to which it jumps, None if to none; comments: set of text; text: as saved."""

    def __init__(self, line):
        self.text = line
        tokens = _TOKEN.findall(line)
        self.chain = tokens[1] if len(tokens) > 1 else ''
        self.target, self.comments = None, set()
        before = ''
        for token in tokens[2:]:
            if before == '--comment':
                self.comments.add(unquoted(token))
            elif before in _JUMPS:
                self.target = token
                break
            # After a word of free text the next one is an option again, whatever the word is.
            before = '' if before in _FREE_TEXT else token


def logical_lines(lines):
    """The lines of iptables-save, of text, with those put together that are one because a comment goes over its end."""
    pending = ''
    for line in lines:
        pending = pending + line if pending else line
        if (pending.count('"') % 2 or '\\' in pending) and '"' in _TOKEN.findall(pending):
            # A quote is open.
            continue
        yield pending.rstrip('\r\n')
        pending = ''
    if pending:
        yield pending.rstrip('\r\n')


def fits(row, table, chain):
    """Whether a chain is one that ROW means: of its table, and of its name or prefix if it has one."""
    if row['table'] != table:
        return False
    if row.get('name') is not None:
        return chain == row['name']
    return chain.startswith(row.get('prefix') or '')


class OwnedChains(object):
    """The chains that are to go.

    rows: dicts with table, name or prefix, and jumps, a list of dicts with chain and, if the rule must have it, comment: which rules of chains that
    stay may be taken away because they jump there.
    """

    def __init__(self, rows):
        self.rows = rows
        self.tables = sorted(set(row['table'] for row in rows))
        self._near = {}
        for table in self.tables:
            names = '|'.join(re.escape(row.get('name') or row.get('prefix') or '') for row in rows if row['table'] == table)
            self._near[table] = re.compile(r'(?:-[jg]|--jump|--goto)\s+(?:%s)' % names)

    def may_concern(self, table, line):
        """Whether a line may be a rule that jumps to a chain that is to go. Most are not, and need not be read word by word."""
        return table in self._near and self._near[table].search(line) is not None

    def owns(self, table, chain):
        """Whether a chain is to go."""
        return chain not in BUILT_IN and _CHAIN.match(chain) is not None and any(fits(row, table, chain) for row in self.rows)

    def is_own_jump(self, table, rule):
        """Whether a rule is the owner's, which jumps to a chain that is to go."""
        if '\n' in rule.text:
            # It cannot be named in a line.
            return False
        for row in self.rows:
            if fits(row, table, rule.target):
                for jump in row.get('jumps') or []:
                    if jump['chain'] == rule.chain and (jump.get('comment') is None or jump['comment'] in rule.comments):
                        return True
        return False


class Removal(object):
    """What is to be taken out of one table.

    chains: that go. jumps: the text of rules that go. kept: {chain: the rule of somebody else because of which it stays}.
    """

    def __init__(self, table):
        self.table = table
        self.chains, self.jumps, self.kept = [], [], {}

    def __bool__(self):
        return bool(self.chains or self.jumps)

    __nonzero__ = __bool__

    def what_stays(self):
        """The Removal of the table when this is done: nothing goes any more."""
        rest = Removal(self.table)
        rest.kept = self.kept
        return rest

    def text(self):
        """What iptables-restore --noflush reads, all or nothing."""
        # To name a chain empties it. Only when none refers to another any more, the first can be deleted.
        lines = ['*' + self.table]
        lines.extend(':%s - [0:0]' % chain for chain in self.chains)
        lines.extend('-D' + rule[2:] for rule in self.jumps)
        lines.extend('-X ' + chain for chain in self.chains)
        return '\n'.join(lines + ['COMMIT', ''])


def _with_what_they_reach(chains, edges):
    """CHAINS, {chain: reason}, and all that their rules lead to."""
    pending = list(chains)
    while pending:
        chain = pending.pop()
        for target in edges.get(chain, ()):
            if target not in chains:
                chains[target] = chains[chain]
                pending.append(target)
    return chains


def has_chain(table, lines, rows):
    """Whether one of ROWS means one of the chains in what iptables-save printed of a table."""
    for line in logical_lines(lines):
        if line.startswith(':') and any(fits(row, table, line[1:].split(' ')[0]) for row in rows):
            return True
    return False


def removal(table, lines, owned):
    """The Removal for one table. lines: what iptables-save printed of it, as text. Only what concerns chains that go is kept in memory."""
    found, edges, jumps, foreign = [], {}, [], {}
    for line in logical_lines(lines):
        if line.startswith(':'):
            words = line[1:].split()
            # A chain with a policy is built in.
            if len(words) > 1 and words[1] == '-' and owned.owns(table, words[0]):
                found.append(words[0])
        elif line.startswith('-A ') and owned.may_concern(table, line):
            rule = Rule(line)
            if rule.target is None or not owned.owns(table, rule.target):
                continue
            if owned.owns(table, rule.chain):
                edges.setdefault(rule.chain, set()).add(rule.target)
            elif owned.is_own_jump(table, rule):
                jumps.append(rule.text)
            else:
                foreign.setdefault(rule.target, rule.text)
    result = Removal(table)
    result.kept = _with_what_they_reach(foreign, edges)
    result.jumps = jumps
    result.chains = [chain for chain in found if chain not in result.kept]
    return result
