# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The processes of a node that are, or contain, kube-proxy, and how each is run."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

KUBE_PROXY = 'kube-proxy'
# Programs with kube-proxy inside. k3s writes its title over its arguments: k3s-server, k3s-agent, "/usr/local/bin/k3s server".
EMBEDDED = {'k3s': 'k3s', 'k3s-server': 'k3s', 'k3s-agent': 'k3s', 'kubelite': 'microk8s', 'openshift-sdn-node': 'openshift_sdn'}
# The kernel keeps 15 characters of a name.
COMM_LENGTH = 15
COMMANDS = dict((name[:COMM_LENGTH], name) for name in list(EMBEDDED) + [KUBE_PROXY, 'hyperkube', 'kube-router'])
HYPERKUBE_WORDS = ('proxy', 'kube-proxy')
CMDLINE_LIMIT = 256 * 1024
CLOCK_TICKS = 100

# A script of that name is not the program: whatever it starts is another process.
INTERPRETERS = frozenset(('sh', 'bash', 'dash', 'ash', 'ksh', 'zsh', 'busybox', 'env', 'perl', 'python', 'python2', 'python3'))
K3S_WITH_KUBE_PROXY = ('server', 'agent')
# States of a process that has ended, and of which only its parent does not know yet (proc(5)).
DEAD = ('Z', 'X')
# Whatever is longer is no number of the kernel's.
NUMBER = re.compile(r'^[0-9]{1,15}$')
PS_LIMIT = 16 * 1024 * 1024

_POD = re.compile(r'pod([0-9a-f]{32}|[0-9a-f]{8}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{4}[-_][0-9a-f]{12})(?![0-9a-f])')
_CONTAINER = re.compile(r'(?:^|[-:])([0-9a-f]{64})(?:\.scope)?$')
_TITLE = re.compile(r'(?:^|/)k3s (?:server|agent)\s*$')
_LEFT_IN_THE_TREE = re.compile(r'^(?:[|\s]*\\_ )+')


class Process(object):
    """One process: pid (integer), name, argv (list of text), cgroup (path or None), start_time (seconds since the epoch or None)."""

    def __init__(self, pid, name, argv, cgroup=None, start_time=None, network_namespace=None):
        self.pid, self.name, self.argv, self.cgroup, self.start_time = pid, name, argv, cgroup, start_time
        self.network_namespace = network_namespace
        self.uses = None


def cgroup_path(text):
    """The control group that tells most, out of /proc/PID/cgroup: version 2, else systemd's own, else the longest."""
    paths = {}
    for line in text.split('\n'):
        parts = line.split(':', 2)
        if len(parts) == 3:
            paths[parts[1]] = parts[2].strip()
    for key in ('', 'name=systemd'):
        # With both versions mounted the one that is not in use says "/".
        if paths.get(key) not in (None, '/'):
            return paths[key]
    return max(paths.values(), key=len) if paths else None


class Placement(object):
    """Where a control group says that a process runs. kind: pod, container, unit or None.

    The innermost element decides: a pod may run below the service of its runtime, a node may itself be a container. unit: the
    service nearest to the process, also of a pod.
    """

    def __init__(self, path):
        self.kind = self.pod_uid = self.container_id = self.unit = None
        for part in (path or '').split('/'):
            self._enter(part)

    def _enter(self, part):
        pod, container = _POD.search(part), _CONTAINER.search(part)
        if pod:
            self.pod_uid = pod.group(1).replace('_', '-')
        if container:
            self.container_id = container.group(1)
        if pod or (container and self.kind == 'pod'):
            self.kind = 'pod'
        elif container:
            self.kind = 'container'
        elif part.endswith('.service'):
            self.unit = part
            if self.kind != 'pod':
                self.kind = 'unit'
        elif part.endswith('.scope') and self.kind == 'unit':
            # What a user or a service manager of his started, not the service itself.
            self.kind = None

    @property
    def static(self):
        """Whether the pod is one of a manifest on the node: its uid is then a sum of 32 digits (kubelet pkg/kubelet/config/common.go)."""
        return self.pod_uid is not None and len(self.pod_uid) == 32


def _stat(node, pid):
    """The fields of /proc/PID/stat behind the name, which may hold blanks and parentheses: the state is the first."""
    return (node.text('/proc/%s/stat' % pid) or '').rpartition(')')[2].split()


def _start_time(node, pid, boot_time):
    """Field 22 of /proc/PID/stat, since the boot in ticks of the clock."""
    words = _stat(node, pid)
    if boot_time is None or len(words) < 20 or not NUMBER.match(words[19]):
        return None
    ticks = os.sysconf('SC_CLK_TCK') if node.live else CLOCK_TICKS
    return boot_time + int(words[19]) / float(ticks)


def _boot_time(node):
    found = re.search(r'(?m)^btime ([0-9]{1,15})$', node.text('/proc/stat') or '')
    return int(found.group(1)) if found else None


def _argv(node, pid):
    text = node.text('/proc/%s/cmdline' % pid, limit=CMDLINE_LIMIT)
    if text is None:
        return None
    words = text.split('\0')
    if _TITLE.search(words[0]):
        # The room of the arguments that were there before is filled with zero bytes.
        return words[:1]
    return words[:-1] if not words[-1] else words


def _name(node, pid):
    name = node.first_line('/proc/%s/comm' % pid)
    if name is None and not node.live:
        found = re.search(r'(?m)^Name:\s*(.+)$', node.text('/proc/%s/status' % pid) or '')
        name = found.group(1).strip() if found else None
    return name


def _what(argv):
    """What a command line says it is: a name of COMMANDS, or None."""
    if not argv or not argv[0]:
        return None
    if len(argv) == 1 and _TITLE.search(argv[0]):
        return 'k3s'
    base = os.path.basename(argv[0].split(' ')[0] if len(argv) == 1 else argv[0])
    return base if base in COMMANDS.values() else None


def use_of(name, argv):
    """Whether a process is kube-proxy, contains it, or is kube-router: kube-proxy, k3s, microk8s, openshift_sdn, kube-router or None.

    name: of /proc/PID/comm, 15 characters at most, or None. Parents that only start kube-proxy (a shell, go-runner) are none of these.
    """
    what = COMMANDS.get(name) or (_what(argv) if name is None else None)
    if what is None or (argv and os.path.basename(argv[0]) in INTERPRETERS):
        return None
    if what == 'k3s' and argv and not _TITLE.search(argv[0]) and (len(argv) < 2 or argv[1] not in K3S_WITH_KUBE_PROXY):
        # k3s kubectl, k3s ctr, k3s etcd-snapshot
        return None
    if what == 'hyperkube':
        words = [word for word in (argv or [])[1:] if not word.startswith('-')]
        return KUBE_PROXY if words and words[0] in HYPERKUBE_WORDS else None
    return EMBEDDED.get(what, what)


def _network_namespace(node, pid):
    own, first = node.link('/proc/%s/ns/net' % pid), node.link('/proc/1/ns/net')
    return None if own is None or first is None else 'host' if own == first else 'other'


def _complete(node, process, boot_time):
    pid = process.pid
    text = node.text('/proc/%s/cgroup' % pid)
    if text is None and not node.live:
        # sosreport has the cpuset alone, which is the same path where that controller is in use.
        cpuset = node.first_line('/proc/%s/cpuset' % pid)
        text = None if cpuset in (None, '/') else '0::%s' % cpuset
    process.cgroup = process.cgroup or (cgroup_path(text) if text else None)
    process.start_time = _start_time(node, pid, boot_time)
    process.network_namespace = _network_namespace(node, pid)
    return process


def _scan(node, pids, by_argv):
    """The processes of /proc that are of use. by_argv: judge by their arguments alone, for those started under another name."""
    found = []
    for pid in pids:
        name = None if by_argv else _name(node, pid)
        if not by_argv and name is not None and name not in COMMANDS:
            continue
        argv = _argv(node, pid) or []
        use = use_of(name, argv)
        if use:
            process = Process(int(pid), name or _what(argv), argv)
            process.uses = use
            found.append(process)
    return found


def _ps_outputs(node):
    """The outputs of ps in a sosreport, the most complete first."""
    directory = '/sos_commands/process'
    names = [name for name in node.names(directory) or [] if name.startswith('ps_')]
    names.sort(key=lambda name: (not name.startswith('ps_au'), name))
    return [directory + '/' + name for name in names if not name.startswith('ps_axo_pid')] + ['/ps']


def _rows_of_ps(node, path):
    """(pid, state, command line) of each process in the output of ps, whose columns its head names."""
    head = None
    for line in (node.text(path, limit=PS_LIMIT) or '').split('\n'):
        if head is None:
            words = line.split()
            if 'PID' in words and words[-1] in ('COMMAND', 'CMD'):
                head = words
            continue
        words = line.split(None, len(head) - 1)
        row = dict(zip(head, words))
        if len(words) == len(head) and NUMBER.match(row['PID']):
            yield int(row['PID']), row.get('STAT') or row.get('S') or '', _LEFT_IN_THE_TREE.sub('', words[-1])


def _from_ps(node):
    """The processes of a sosreport, out of the output of ps."""
    found = {}
    for path in _ps_outputs(node):
        for pid, state, command in _rows_of_ps(node, path):
            argv = [command.strip()] if _TITLE.search(command) else command.split()
            use = use_of(None, argv)
            if use and not state.startswith(DEAD):
                found[pid] = Process(pid, _what(argv), argv)
                found[pid].uses = use
        if found:
            break
    listing = '/sos_commands/process/ps_axo_pid_ppid_user_group_lwp_nlwp_start_time_comm_cgroup'
    for line in (node.text(listing, limit=PS_LIMIT) or '').split('\n'):
        words = line.split()
        if len(words) >= 9 and NUMBER.match(words[0]) and int(words[0]) in found:
            # Each hierarchy is number:controllers:path, and controllers hold commas too.
            found[int(words[0])].cgroup = cgroup_path(re.sub(r',(?=\d+:)', '\n', words[-1]))
    return list(found.values())


def _seen(node, pids):
    """Whether the processes of the node could be seen: with hidepid of proc(5) a user sees his own alone."""
    if node.live:
        if '1' in pids and _name(node, '1') is not None:
            return True
        node.report('/proc', 'the processes of other users are hidden')
        return False
    return any(node.kind(path) == 'file' for path in _ps_outputs(node)) or any(_name(node, pid) is not None for pid in pids)


def _users(node, pid):
    """The user ids of a process (real, effective, saved, of the file system) in /proc/PID/status, or None."""
    found = re.search(r'(?m)^Uid:((?:\s+[0-9]{1,10}){4})$', node.text('/proc/%d/status' % pid) or '')
    return set(int(number) for number in found.group(1).split()) if found else None


def _is_somebody_elses(node, process):
    """Whether a user of the node started it under that name: kube-proxy is root's, but for one in a network namespace of that user's own.

    A program with the set-user-ID bit has the user's own id among the four.
    """
    users = _users(node, process.pid)
    trusted = set([0, os.geteuid()] if node.live else [0])
    if users is None or users <= trusted or process.network_namespace == 'other':
        return False
    node.report('/proc/%d' % process.pid, 'a process named %s that belongs to user %d, not to root, is not taken for it' % (process.name, max(users)))
    return True


def read_processes(node):
    """(the processes of use, whether processes could be seen at all). Those in the host's network namespace come first."""
    pids = [name for name in node.names('/proc') or [] if NUMBER.match(name)]
    found = _scan(node, pids, False)
    if not any(process.uses != 'kube-router' for process in found):
        found += [process for process in _scan(node, pids, True) if process.pid not in [other.pid for other in found]]
    if not node.live and not any(process.argv for process in found):
        found = _from_ps(node) or found
    boot_time = _boot_time(node)
    found = [_complete(node, process, boot_time) for process in found if not ''.join(_stat(node, process.pid)[:1]).startswith(DEAD)]
    found = [process for process in found if not _is_somebody_elses(node, process)]
    found.sort(key=lambda process: (process.network_namespace == 'other', process.uses != KUBE_PROXY, process.pid))
    return found, any(process.uses != 'kube-router' for process in found) or _seen(node, pids)
