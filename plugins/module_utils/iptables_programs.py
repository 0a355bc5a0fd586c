# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The iptables of a node: which variants of it have tables, and the programs that read and write these.

An old and a new iptables can both have rules at once, legacy in the kernel's ip_tables and nft in its nf_tables. Each is only seen by its own programs, and to
ask a program for tables that are not there makes them.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import contextlib
import errno
import fcntl
import os
import socket
import subprocess
import tempfile
import time

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import nf_tables_netlink, nfnetlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_rules import has_chain, removal

LEGACY, NFT = 'legacy', 'nft'
IPV4, IPV6 = 'ipv4', 'ipv6'
PREFIXES = {IPV4: 'iptables', IPV6: 'ip6tables'}
NAMES = {IPV4: '/proc/net/ip_tables_names', IPV6: '/proc/net/ip6_tables_names'}
FAMILIES = {IPV4: nfnetlink.IPV4, IPV6: nfnetlink.IPV6}
LOCK_FILE = '/run/xtables.lock'
# The lock of iptables before 1.6, a socket in the abstract namespace.
LOCK_SOCKET = '\0xtables'
PAUSE_SECONDS = 0.05
SHOWN = 300
# How often a table is read anew because it changed before it was written.
TRIES = 4


class IptablesError(Exception):
    """A table could not be read or written; the text is why."""


def run_program(words, deadline, given=b''):
    """Run a program until DEADLINE: (status, what it printed, as an open file, what it complained of). Raises IptablesError."""
    # Files, not pipes: a table can be tens of megabytes long.
    with tempfile.TemporaryFile() as source:
        source.write(given)
        source.seek(0)
        output, errors = tempfile.TemporaryFile(), tempfile.TemporaryFile()
        try:
            # run_command keeps all that a program prints in memory, and has no deadline.
            # pylint: disable-next=ansible-bad-function
            process = subprocess.Popen(words, stdin=source, stdout=output, stderr=errors, close_fds=True, env=dict(os.environ, LC_ALL='C'))
        except (IOError, OSError) as error:
            output.close()
            errors.close()
            raise IptablesError('%s cannot be run: %s' % (words[0], error.strerror))
    try:
        while process.poll() is None:
            if clock() >= deadline:
                # A table is changed as a whole or not at all.
                process.kill()
                process.wait()
                output.close()
                raise IptablesError('%s did not end in time' % words[0])
            time.sleep(0.01)
        errors.seek(0)
        said = ' '.join(to_text(errors.read(16 * 1024), errors='replace').split())
    finally:
        errors.close()
    output.seek(0)
    return process.returncode, output, said


@contextlib.contextmanager
def xtables_lock(deadline, path=LOCK_FILE, name=LOCK_SOCKET):
    """Both locks of iptables, which a program without --wait does not take. Raises IptablesError."""
    holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    descriptor = None
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, 'O_CLOEXEC', 0), 0o600)
        except OSError as error:
            raise IptablesError('%s cannot be opened: %s' % (path, error.strerror))
        steps = [lambda: fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB), lambda: holder.bind(name)]
        while steps:
            try:
                steps[0]()
                steps.pop(0)
                continue
            except (IOError, OSError, socket.error) as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EINTR, errno.EADDRINUSE):
                    raise IptablesError('the lock of iptables cannot be taken: %s' % error.strerror)
            if clock() >= deadline:
                raise IptablesError('another program holds the lock of iptables all the time')
            time.sleep(PAUSE_SECONDS)
        yield
    finally:
        holder.close()
        if descriptor is not None:
            os.close(descriptor)


class RuleSet(object):
    """The tables of one family in one variant. tables: those that are there. save, restore: paths of the programs."""

    def __init__(self, family, variant, tables, save, restore):
        self.family, self.variant, self.tables = family, variant, tables
        self._save, self._restore = save, restore
        self._waits = None

    def _read(self, table, understand, deadline):
        """What UNDERSTAND makes of the lines of a table."""
        for attempt in range(TRIES):
            status, output, said = run_program([self._save, '-t', table], deadline)
            with output:
                if status == 0:
                    # Bytes that are no text must go back as they came.
                    return understand(line.decode('latin-1') for line in output)
            # It may have changed while it was read.
            time.sleep(PAUSE_SECONDS * attempt)
        raise IptablesError('`%s -t %s` failed with status %d: %s' % (self._save, table, status, said[:SHOWN] or 'it said nothing'))

    def removal(self, table, owned, deadline):
        """The iptables_rules.Removal of a table as it is now. Raises IptablesError."""
        return self._read(table, lambda lines: removal(table, lines, owned), deadline)

    def has_chain(self, table, rows, deadline):
        """Whether one of ROWS means a chain of this table. Raises IptablesError."""
        return self._read(table, lambda lines: has_chain(table, lines, rows), deadline)

    def _can_wait(self, deadline):
        """Whether the program takes the lock itself when it is told to wait."""
        if self._waits is None:
            dummy, output, said = run_program([self._restore, '--help'], deadline)
            with output:
                self._waits = '--wait' in said or b'--wait' in output.read(64 * 1024)
        return self._waits

    def _write(self, text, deadline):
        words = [self._restore, '--noflush']
        given = text.encode('latin-1')
        if self._can_wait(deadline):
            return run_program(words + ['--wait=%d' % max(1, int(deadline - clock()))], deadline, given)
        if self.variant == NFT:
            return run_program(words, deadline, given)
        with xtables_lock(deadline):
            return run_program(words, deadline, given)

    def remove(self, table, owned, deadline):
        """Take out of a table what is to go, in one step; the Removal. Raises IptablesError."""
        for attempt in range(TRIES):
            planned = self.removal(table, owned, deadline)
            if not planned:
                return planned
            status, output, said = self._write(planned.text(), deadline)
            output.close()
            if status == 0:
                return planned
            # A rule that another program has just removed makes all of it fail: look again.
            time.sleep(PAUSE_SECONDS * attempt)
        raise IptablesError('`%s --noflush` of the table %s failed with status %d: %s' % (self._restore, table, status, said[:SHOWN] or 'it said nothing'))


class Found(object):
    """rule_sets: RuleSets with tables that matter; chains: set of (table, chain) that nf_tables has; problems: sentences."""

    def __init__(self):
        self.rule_sets, self.chains, self.problems = [], set(), []


class Iptables(object):
    """The iptables of this network namespace. find_program: path of a program by its name, or None."""

    def __init__(self, node, find_program):
        self._node, self._find_program = node, find_program
        self._variants = {}

    def _variant_of(self, prefix, deadline):
        """The variant of the programs without one in their name, None if there are none."""
        if prefix not in self._variants:
            program = self._find_program(prefix)
            if program is None:
                self._variants[prefix] = None
            else:
                dummy, output, said = run_program([program, '--version'], deadline)
                with output:
                    # Before 1.8 there was one variant, and no word for it.
                    self._variants[prefix] = NFT if b'nf_tables' in output.read(1024) else LEGACY
        return self._variants[prefix]

    def _programs(self, family, variant, deadline):
        """(save, restore) of a variant, None if they are not installed."""
        prefix = PREFIXES[family]
        for stem in ('%s-%s' % (prefix, variant), prefix):
            pair = self._find_program(stem + '-save'), self._find_program(stem + '-restore')
            if None not in pair and (stem != prefix or self._variant_of(prefix, deadline) == variant):
                return pair
        return None

    def _add(self, found, family, variant, tables, deadline):
        programs = self._programs(family, variant, deadline)
        if programs is None:
            found.problems.append(
                'there are %s tables of the %s variant, %s, but no %s-save and -restore of that variant on this node'
                % ({IPV4: 'IPv4', IPV6: 'IPv6'}[family], variant, ', '.join(tables), PREFIXES[family])
            )
        else:
            found.rule_sets.append(RuleSet(family, variant, tables, programs[0], programs[1]))

    def look(self, owned, more_tables, deadline):
        """What there is, as Found, without making or loading anything.

        owned: iptables_rules.OwnedChains. more_tables: names of further tables that are asked about. Raises IptablesError, NetlinkError.
        """
        found = Found()
        wanted = set(owned.tables) | set(more_tables)
        has_nf_tables = nfnetlink.is_there(self._node, 'nf_tables')
        for family in (IPV4, IPV6):
            tables = [name for name in (self._node.text(NAMES[family]) or '').split() if name in wanted]
            if tables:
                self._add(found, family, LEGACY, sorted(tables), deadline)
            if not has_nf_tables:
                continue
            chains = nf_tables_netlink.chains(FAMILIES[family])
            found.chains.update(chains)
            # Many tables of these names are no iptables. Only those with a chain that is to go are looked at.
            tables = sorted(set(table for table, chain in chains if owned.owns(table, chain)))
            if tables:
                self._add(found, family, NFT, tables, deadline)
        return found
