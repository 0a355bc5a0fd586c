# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of kube-proxy from the moment of its restart: when it is healthy, whether it stays so, and what went wrong."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_health
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy

PAUSE_SECONDS = 0.2
# How often the configuration of a process that is not healthy yet is read again, and systemd is asked about a unit without a process.
AGAIN_SECONDS, UNIT_SECONDS = 5, 2
# How long a unit whose restart failed has for the start that systemd tries by itself.
FAILED_SECONDS = 10


def _times(number):
    return 'once' if number == 1 else '%d times' % number


class RestartCourse(object):
    """One restart.

    way: one of restart_ways. life, health: the Life of the present process and its Health, or None. healthy_at: the moment since which
    it is, None if it is not yet.
    """

    def __init__(self, node, units, way, starts, ports, began):
        self._node, self._units, self._way, self._starts, self._ports = node, units, way, starts, ports
        self._ports_before = ports
        self.began = began
        self.life = self.health = self.healthy_at = None
        self._lost_after = None
        self._read_at = self._failed_at = self._unit_asked_at = None
        self._given_up = 0
        self._stopped = None

    @property
    def starts(self):
        """How often kube-proxy was seen to start since the restart."""
        return len(self._starts.started)

    def mode(self):
        """The mode that the present process tells, or None."""
        return self.health.mode if self.health else None

    def wait(self, deadline):
        """Until the new process is healthy and the restart has ended, or there is no hope that it will be."""
        while True:
            self._step()
            now = clock()
            if (self.healthy_at is not None and self._way.has_ended) or now >= deadline or self._is_hopeless(now):
                self._stopped = now
                return
            time.sleep(PAUSE_SECONDS)

    def _step(self):
        life = self._starts.look()
        if life is None or self.life is None or life.key != self.life.key:
            self.life, self.healthy_at, self._read_at = life, None, None
        self.health = None
        if life is None:
            return
        if self.healthy_at is None and (self._read_at is None or clock() - self._read_at >= AGAIN_SECONDS):
            self._read_ports()
        self.health = kube_proxy_health.look(self._node, life.pid, self._ports, clock() - life.seen_at)
        if not self.health.healthy:
            self.healthy_at = None
        elif self.healthy_at is None:
            self.healthy_at = clock()

    def _read_ports(self):
        """The new process may have been given another configuration."""
        facts = read_kube_proxy(self._node, self._units, ask=False)
        self._read_at = clock()
        if facts['pid'] != self.life.pid:
            return
        ports = kube_proxy_health.Ports(facts)
        if not ports.known:
            ports = self._ports_before
        elif self._ports_before.metrics is None and self._ports_before.healthz is not None:
            # A port that somebody else had before is his still.
            ports.without_silent_metrics(self._node, self.life.pid)
        self._ports = ports

    def _is_hopeless(self, now):
        if self._way.failure:
            self._failed_at = self._failed_at or now
            if not self._starts.ended() or now - self._failed_at >= FAILED_SECONDS:
                return True
        if self.life is not None or not self._starts.ended():
            self._given_up = 0
        elif self._unit_asked_at is None or now - self._unit_asked_at >= UNIT_SECONDS:
            self._unit_asked_at = now
            self._given_up = self._given_up + 1 if self._way.gave_up() else 0
        # Twice: between two of its states a unit can look as if it were none.
        return self._given_up >= 2

    def check(self):
        """See whether the process that was healthy is still there. Returns the one that is, or None."""
        life = self._starts.look()
        if self.healthy_at is not None and self._lost_after is None and (life is None or life.key != self.life.key):
            self._lost_after = clock() - self.healthy_at
        return life

    def look_again(self):
        """The last look at the process that is there in the end."""
        self.life, self.health = self.check(), None
        if self.life is not None:
            self.health = kube_proxy_health.look(self._node, self.life.pid, self._ports, clock() - self.life.seen_at)

    def tell(self, wait_seconds, problem):
        """Say what went wrong, each a sentence for PROBLEM."""
        if self._stopped is None:
            return
        failure = self._way.failure
        if failure and not self._starts.ended():
            problem('%s; process %d from before still runs%s' % (failure, self._starts.before.pid, self._about_unit()))
            return
        problem(failure)
        if not self._way.has_ended:
            problem('`systemctl restart` has not ended after %d seconds' % wait_seconds)
        if self.healthy_at is None:
            problem('kube-proxy is not healthy %d seconds after its restart: %s' % (self._stopped - self.began, self._what_is()))
        elif self._lost_after is not None:
            words = 'kube-proxy did not last: its process ended %.1f seconds after it was healthy; it was started %s since the restart'
            problem(words % (self._lost_after, _times(self.starts)) + self._about_unit())
        elif not self.health.healthy:
            problem('kube-proxy was healthy, but is not at the end of the watch: %s' % self.health.reason)

    def _what_is(self):
        before = self._starts.before.pid
        if self.life is None and not self._starts.ended():
            what = 'process %d from before still runs, and no other was started' % before
        elif self.life is None:
            what = 'no kube-proxy process runs'
        else:
            what = 'process %d: %s' % (self.life.pid, self.health.reason if self.health else 'not looked at')
        if self.starts != 1:
            what += '; it was started %s' % _times(self.starts) if self.starts else ''
        return what + self._about_unit()

    def _about_unit(self):
        told = self._way.tell()
        return '; ' + told if told else ''
