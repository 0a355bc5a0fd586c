# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarts kube-proxy and sees what becomes of it: whether it is another process, healthy, in the right mode, with its Services, and what value it leaves."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_health
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_starts import Starts
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_lock import CannotLock, one_at_a_time, while_no_other
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.restart_course import PAUSE_SECONDS, RestartCourse
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.restart_ways import CannotRestart, way_to_restart
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.service_connections import ServiceTrial, answerable, spread
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl import same_namespace
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.value_watch import ValueWatch, read_value

VALUE = 'net.ipv4.vs.conn_reuse_mode'
VALUE_PATH = '/proc/sys/net/ipv4/vs/conn_reuse_mode'
LOCK_PATH = '/run/kubeproxy.ipvs.restart.lock'
RESTARTS = 'restarts kube-proxy'
IPVS = 'ipvs'
# How long after kube-proxy is healthy a Service may need to answer again, and the pause between two tries.
SETTLE_SECONDS, RETRY_SECONDS = 10, 0.5


class KubeProxyRestart(object):
    """One run of the module.

    asked: its options. find_program: path of a program by its name, or None. run_command: like AnsibleModule.run_command.
    """

    def __init__(self, node, asked, find_program, run_command, value_path=VALUE_PATH, lock_path=LOCK_PATH):
        self._node, self._asked, self._value_path, self._lock_path = node, asked, value_path, lock_path
        self._find_program, self._run_command = find_program, run_command
        self._units = Units(node)
        self._ports = None
        self.result = {
            'changed': False,
            'method': None,
            'form': None,
            'unit': None,
            'before': self._state(None, None, None, None),
            'after': None,
            'value': {'at_end': None, 'changes': [], 'wrong_seconds': None},
            'services': None,
            'problems': [],
        }

    def run(self, check_mode=False):
        """Do it, and fill in the result."""
        deadline = clock() + self._asked['wait_seconds']
        try:
            if not self._asked['restart']:
                # In the middle of another run's restart there is nothing to see.
                with while_no_other(self._lock_path, deadline, RESTARTS):
                    self._look()
            elif check_mode:
                self._foresee()
            else:
                with one_at_a_time(self._lock_path, deadline, RESTARTS):
                    self._restart()
        except (CannotRestart, CannotLock) as error:
            self._problem(str(error))

    def _problem(self, sentence):
        if sentence:
            self.result['problems'].append(sentence)

    @staticmethod
    def _state(pid, start_time, health, facts, value=None):
        """`before` or `after` of the module. health, facts: None if nothing is known."""
        return {
            'pid': pid,
            'start_time': start_time,
            'mode': (health.mode if health else None) or (facts['mode'] if facts else None),
            'version': facts['version'] if facts else None,
            'healthy': health.healthy if health else None,
            'healthy_by': health.by if health and health.healthy else None,
            'value': value,
        }

    def _before(self):
        """Look at the kube-proxy that runs: (its facts, its Starts, its Health). Raises CannotRestart if none does."""
        facts = read_kube_proxy(self._node, self._units)
        self.result.update(form=facts['form'], unit=facts['unit'])
        value = read_value(self._value_path)
        self.result['before']['value'] = self.result['value']['at_end'] = value
        if facts['pid'] is None:
            if facts['form'] == 'none':
                raise CannotRestart('there is no kube-proxy on this node')
            raise CannotRestart('kube-proxy does not run' if facts['running'] is False else 'the processes of this node cannot be seen without root')
        if facts['network_namespace'] == 'other':
            raise CannotRestart('the kube-proxy of process %d is not in the network namespace of the host' % facts['pid'])
        if not same_namespace('self', 1):
            raise CannotRestart('Ansible itself is not in the network namespace of the host here, so that it sees other values and Services')
        starts = Starts(self._node, facts)
        if starts.before is None:
            raise CannotRestart('kube-proxy, process %d, ended while it was looked at' % facts['pid'])
        self._ports = self._ports_of(facts, facts['pid'])
        age = time.time() - facts['start_time'] if facts['start_time'] is not None else 0
        health = kube_proxy_health.look(self._node, facts['pid'], self._ports, age)
        self.result['before'] = self._state(facts['pid'], facts['start_time'], health, facts, value)
        return facts, starts, health

    def _ports_of(self, facts, pid):
        """The ports of the process that runs from the beginning."""
        ports = kube_proxy_health.Ports(facts)
        ports.guess(self._node, pid)
        ports.without_silent_metrics(self._node, pid)
        return ports

    def _try_services(self):
        """The ServiceTrial, None where there are none."""
        if not self._asked['services'] or self.result['before']['mode'] != IPVS:
            return None
        endpoints = spread(answerable(self._node), self._asked['services'])
        services = ServiceTrial(self._node, endpoints, self._asked['connect_seconds'])
        self.result['services'] = services.result()
        return services

    def _look(self):
        health = self._before()[2]
        self._try_services()
        if not health.healthy:
            self._problem('kube-proxy, process %d, is not healthy: %s' % (self.result['before']['pid'], health.reason))
        self._judge_mode(self._asked['mode'], self.result['before']['mode'])
        if self._asked['value'] not in (None, self.result['before']['value']):
            self._problem('%s is %s, not %d' % (VALUE, self._shown(self.result['before']['value']), self._asked['value']))

    def _foresee(self):
        facts, starts, dummy = self._before()
        way = way_to_restart(self._node, facts, starts.before, self._find_program, self._run_command)
        self._try_services()
        self.result.update(changed=True, method=way.method)

    def _restart(self):
        facts, starts, dummy = self._before()
        way = way_to_restart(self._node, facts, starts.before, self._find_program, self._run_command)
        services = self._try_services()
        watch = ValueWatch(self._value_path, self._asked['value'])
        began = watch.start()
        course = RestartCourse(self._node, self._units, way, starts, self._ports, began)
        settled = None
        try:
            way.begin()
            self.result['method'] = way.method
            course.wait(began + self._asked['wait_seconds'])
            settled = clock()
            self._watch(course, services, settled)
        finally:
            watch.stop()
            self.result['changed'] = self.result['method'] is not None and (starts.ended() or bool(starts.started))
            self.result['value'] = watch.samples.result()
            course.tell(self._asked['wait_seconds'], self._problem)
            way.leave()
        if self.result['changed']:
            self._after(course, watch.samples.value)
        self._judge_value(watch.samples, settled + self._asked['watch_seconds'] / 2.0 if course.healthy_at is not None else None)
        if services is not None:
            self.result['services'] = services.result()
            self._problem(services.problem())

    def _watch(self, course, services, began):
        """Look on while the new process should stay as it is, and let the Services answer again."""
        healthy = course.healthy_at is not None
        mode = course.mode() or self._asked['mode'] or self.result['before']['mode']
        end = began + (self._asked['watch_seconds'] if healthy else 0)
        last_try = began + (SETTLE_SECONDS if healthy else 0)
        next_try = began
        while True:
            if services is not None and services.pending and clock() >= next_try:
                services.try_again(in_table=mode == IPVS)
                next_try = clock() + RETRY_SECONDS
            course.check()
            now = clock()
            if now >= end and (services is None or not services.pending or now >= last_try):
                break
            time.sleep(min(PAUSE_SECONDS, max(0.01, end - now)))
        course.look_again()

    def _after(self, course, value):
        life, health = course.life, course.health
        facts = read_kube_proxy(self._node, self._units) if life is not None else None
        if facts is not None and facts['pid'] != life.pid:
            # It has ended in this very moment, or there are two of them.
            facts = None
        after = self._state(life.pid if life else None, life.start_time if life else None, health, facts, value)
        after['seconds'] = round(course.healthy_at - course.began, 2) if course.healthy_at is not None else None
        after['healthy'] = bool(after['healthy'])
        after['starts'] = course.starts
        self.result['after'] = after
        if health is not None and health.healthy:
            self._judge_mode(self._asked['mode'] or self.result['before']['mode'], after['mode'])

    def _judge_mode(self, wanted, mode):
        if wanted is not None and mode != wanted:
            self._problem('the mode is %s, not %s' % (mode or 'not known', wanted))

    @staticmethod
    def _shown(value):
        return 'not there' if value is None else '%d' % value

    def _judge_value(self, samples, middle):
        """middle: the moment from which the value must be right; None if only the end counts."""
        wanted = self._asked['value']
        if wanted is None:
            return
        if samples.value != wanted:
            self._problem('%s is %s after the restart, not %d' % (VALUE, self._shown(samples.value), wanted))
        elif middle is not None and samples.last_wrong is not None and samples.last_wrong >= middle:
            self._problem(
                '%s is %d at the end, but still was another value in the second half of the watch, %.1f seconds in all: something writes it again and again'
                % (VALUE, wanted, samples.wrong_seconds)
            )
