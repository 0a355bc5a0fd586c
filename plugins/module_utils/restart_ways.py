# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The ways in which kube-proxy is restarted: by systemd, or by ending its process, which its kubelet or container engine then starts again."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import os
import re
import signal
import subprocess
import tempfile

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_starts import lives_on

UNIT_FORMS = ('systemd', 'k3s', 'microk8s')
POD_FORMS = ('daemonset', 'static_pod', 'rke2', 'container')
# What systemctl show is asked for.
STATES = ('LoadState', 'ActiveState', 'SubState', 'Result', 'ExecMainStatus')
# States of a unit that systemd starts no more by itself.
GIVEN_UP = ('failed', 'inactive')
OUTPUT_LIMIT = 16 * 1024
SHOWN = 300


class CannotRestart(Exception):
    """Nothing was done; the text is the reason."""


class UnitRestart(object):
    """`systemctl restart UNIT`, in the background: the unit may have commands of its own that take their time.

    run_command: like AnsibleModule.run_command.
    """

    method = 'systemctl'

    def __init__(self, systemctl, unit, run_command):
        self._systemctl, self.unit, self._run_command = systemctl, unit, run_command
        self._process = self._output = None

    def begin(self):
        """Start it. Raises CannotRestart."""
        # Not a pipe, which may run full.
        self._output = tempfile.TemporaryFile()
        nothing = open(os.devnull, 'rb')
        try:
            # run_command comes back when the program has ended; what it does is watched from its beginning.
            # pylint: disable-next=ansible-bad-function
            self._process = subprocess.Popen(
                [self._systemctl, '--no-ask-password', 'restart', self.unit],
                stdin=nothing,
                stdout=self._output,
                stderr=subprocess.STDOUT,
                close_fds=True,
                env=dict(os.environ, LC_ALL='C'),
            )
        except (IOError, OSError) as error:
            raise CannotRestart('%s cannot be run: %s' % (self._systemctl, error.strerror))
        finally:
            nothing.close()

    @property
    def has_ended(self):
        """Whether the command has."""
        return self._process.poll() is not None

    @property
    def failure(self):
        """A sentence if the command has failed, else None."""
        if not self._process.poll():
            return None
        self._output.seek(0)
        said = ' '.join(to_text(self._output.read(OUTPUT_LIMIT), errors='replace').split())
        return '`systemctl restart %s` failed with status %d: %s' % (self.unit, self._process.returncode, said[:SHOWN].rstrip('.') or 'it said nothing')

    def leave(self):
        """Wait for it no longer. systemd goes on with what it was told."""
        if self._process is not None and self._process.poll() is None:
            self._process.terminate()
            self._process.wait()
        if self._output is not None:
            self._output.close()

    def states(self):
        """{name: text} of the unit's states, {} if systemd does not tell them."""
        words = [self._systemctl, 'show', self.unit] + ['--property=' + name for name in STATES]
        status, output, dummy = self._run_command(words, environ_update={'LC_ALL': 'C'})
        return dict(re.findall(r'(?m)^([A-Za-z]+)=(.*)$', to_text(output, errors='replace'))) if status == 0 else {}

    def gave_up(self):
        """Whether nothing will start the unit any more."""
        return self.has_ended and self.states().get('ActiveState') in GIVEN_UP

    def tell(self):
        """What is known of the unit, for the end of a sentence."""
        states = self.states()
        return '%s: %s' % (self.unit, ', '.join('%s=%s' % (name, states[name]) for name in STATES if states.get(name))) if states else ''


class ProcessEnd(object):
    """SIGTERM for the process, whose pod or container is started again by whatever runs it."""

    method = 'signal'
    has_ended, failure = True, None

    def __init__(self, node, life):
        self._node, self._life = node, life

    def begin(self):
        """Send the signal. Raises CannotRestart."""
        if not lives_on(self._node, self._life):
            # Its number may be another process's by now.
            raise CannotRestart('process %d ended by itself before it was sent a signal' % self._life.pid)
        try:
            os.kill(self._life.pid, signal.SIGTERM)
        except OSError as error:
            if error.errno == errno.ESRCH:
                raise CannotRestart('process %d ended by itself before it was sent a signal' % self._life.pid)
            raise CannotRestart('process %d cannot be sent a signal: %s' % (self._life.pid, error.strerror))

    def leave(self):
        """Nothing is left to be ended."""

    def gave_up(self):
        """Nobody can tell: a kubelet waits up to 5 minutes before it starts a container again."""
        return False

    def tell(self):
        """Nothing more is known."""
        return ''


def way_to_restart(node, facts, life, find_program, run_command):
    """What restarts the kube-proxy that FACTS describe. Raises CannotRestart. find_program: path of a program by its name, or None."""
    form = facts['form']
    if form in UNIT_FORMS:
        if not facts['unit']:
            raise CannotRestart('kube-proxy runs in %s, but not in a systemd unit' % form)
        if facts['unit'].startswith('-'):
            raise CannotRestart('the name of the unit %s looks like an option of systemctl' % facts['unit'])
        systemctl = find_program('systemctl')
        if not systemctl:
            raise CannotRestart('there is no systemctl on this node')
        return UnitRestart(systemctl, facts['unit'], run_command)
    if form in POD_FORMS:
        return ProcessEnd(node, life)
    if form == 'openshift_sdn':
        raise CannotRestart('kube-proxy is a part of openshift-sdn-node here, which cannot run in IPVS mode; it is not restarted')
    if form == 'process':
        raise CannotRestart('nobody knows what starts kube-proxy (process %d) again: it is in no unit, pod or container' % facts['pid'])
    raise CannotRestart('it cannot be told how kube-proxy (process %d) is run' % facts['pid'])
