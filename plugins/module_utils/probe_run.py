# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The course of a probe: may it run, a process of its own that does everything, and an answer within a limit of time.

That process first leaves the namespace of the node, and from then on has no way back to it. It ends with its parent, and at the latest when its time is up;
whatever it made ends with it.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import errno
import json
import os
import resource
import select
import signal

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import probe_namespaces
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_judgment import combined, judge, nothing_known
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_measurement import WAYS, Measurement, ProbeProblem
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_namespaces import end_with_parent, unshare_network

# All of it, in seconds.
LIMIT = 15
# A measurement that was inconclusive, because the node was busy for a moment, is made again; not later than this.
ATTEMPTS, LAST_START = 3, 7.0
OPEN_FILES = 256
MEMORY = 1024 * 1024 * 1024
LONGEST_ANSWER = 1024 * 1024
PIPE = 65536
# ip_vs_rr is the scheduler, veth joins the namespaces: a question for either would make the kernel load it.
MODULES = ('ip_vs', 'ip_vs_rr', 'nf_conntrack', 'veth')
RULE_MODULES = ('nf_tables', 'nft_ct')
VALUES = '/proc/sys/net/ipv4/vs/'


def missing_modules(is_there):
    """Modules that are neither loaded nor built in. is_there: tells it of a name."""
    return [name for name in MODULES if not is_there(name)]


def refusal(is_there, exists=os.path.exists, user=os.geteuid):
    """Why no probe may run here, a sentence; None if it may. Nothing is changed."""
    if user() != 0:
        return 'it needs root, to make network namespaces'
    if probe_namespaces.ctypes is None:
        return 'this Python has no ctypes, without which it cannot make network namespaces'
    missing = missing_modules(is_there)
    if missing:
        return 'not loaded: %s. No module is loaded unless load_module is set' % ', '.join(missing)
    for name in ('conn_reuse_mode', 'conntrack', 'expire_nodest_conn'):
        if not exists(VALUES + name):
            return 'this kernel has no net.ipv4.vs.%s' % name
    return None


def kernel():
    """{release, version} of the running kernel."""
    names = os.uname()
    return {'release': names[2], 'version': names[3]}


def _attempts(rule, ways, began):
    judgments = []
    while not judgments or (judgments[-1]['answer'] != 'conclusive' and len(judgments) < ATTEMPTS and clock() - began < LAST_START):
        judgments.append(_attempt(rule, ways))
    return combined(judgments)


def _attempt(rule, ways):
    try:
        measurement = Measurement(rule, ways)
        try:
            return dict(judge(measurement.run()), conntrack=measurement.way)
        finally:
            measurement.close()
    except (ProbeProblem, NetlinkError) as problem:
        return nothing_known('%s' % problem)
    except (IOError, OSError) as error:
        return nothing_known('a network namespace could not be made or used: %s' % (error.strerror or error))


def _child(answer, rule, ways, parent, began):
    """All that the process does. Never returns."""
    status = 1
    try:
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
            signal.signal(number, signal.SIG_DFL)
        # Neither a signal that was ignored before nor a parent that cannot end it keeps it alive.
        signal.alarm(LIMIT)
        end_with_parent(signal.SIGKILL)
        if os.getppid() == parent:
            for kind, most in ((resource.RLIMIT_NOFILE, OPEN_FILES), (resource.RLIMIT_AS, MEMORY), (resource.RLIMIT_CORE, 0)):
                _limit(kind, most)
            data = json.dumps(_answer(rule, ways, began)).encode('ascii')
            while data:
                data = data[os.write(answer, data) :]
            status = 0
    finally:
        os._exit(status)


def _limit(kind, most):
    """Lower a limit of this process."""
    hard = resource.getrlimit(kind)[1]
    if hard == resource.RLIM_INFINITY or hard > most:
        resource.setrlimit(kind, (most, most))


def _answer(rule, ways, began):
    try:
        unshare_network()
    except OSError as error:
        return nothing_known('network namespaces are not permitted here: %s' % error.strerror)
    try:
        return _attempts(rule, ways, began)
    except Exception as error:
        # The parent cannot see what went wrong here.
        return nothing_known('not understood: %s: %s' % (type(error).__name__, ('%s' % error)[:200]))


def _read(pipe, until):
    """What the child says until it ends, None if it has not ended by then."""
    data = b''
    while len(data) < LONGEST_ANSWER:
        try:
            if not select.select([pipe], [], [], max(0, until - clock()))[0]:
                return None
            more = os.read(pipe, PIPE)
        except (select.error, OSError) as error:
            if error.args[0] != errno.EINTR:
                raise
            continue
        if not more:
            break
        data += more
    return data


def _end(child):
    """End the child and wait for it."""
    try:
        os.kill(child, signal.SIGKILL)
    except OSError:
        pass
    while True:
        try:
            os.waitpid(child, 0)
            return
        except OSError as error:
            if error.errno != errno.EINTR:
                return


def probe(is_there, ways=WAYS, limit=LIMIT):
    """{capabilities, answer, reason, seconds, kernel, conntrack}: ask the kernel. conntrack: how it was made to track, None if that did not come to pass.

    Nothing is loaded, and nothing in the namespace of the caller is changed. refusal has been asked before. is_there: tells whether a module is there.
    """
    began = clock()
    rule = all(is_there(name) for name in RULE_MODULES)
    pipe, answer = os.pipe()
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        _child(answer, rule, ways, parent, began)
    os.close(answer)
    try:
        data = _read(pipe, began + limit)
    finally:
        _end(child)
        os.close(pipe)
    if data is None:
        result = nothing_known('it took longer than %d seconds' % limit)
    else:
        try:
            result = json.loads(data.decode('ascii'))
        except ValueError:
            result = nothing_known('the process that measures was ended')
    return dict({'conntrack': None}, **dict(result, seconds=round(clock() - began, 2), kernel=kernel()))
