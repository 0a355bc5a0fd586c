# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy on a node: how it is deployed, its mode and version, and how each is known. Decided on the node alone.

A DaemonSet in the API says nothing about a node (on GKE it selects none): the process, its control group and its unit do.
Ansible sends source, which each node compiles anew: what one form of deployment alone needs is imported where it is met.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_arguments, unit_commands
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import KUBE_PROXY, Placement, read_processes
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import seconds_of

MAXIMUM_ARGUMENTS, MAXIMUM_OTHERS = 200, 20
# systemd.service(5), DefaultTimeoutStartSec=
DEFAULT_TIMEOUT_START = 90
FOREVER = 10**9
POD_FORMS = ('daemonset', 'static_pod', 'rke2')
K3S_PROGRAMS = ('k3s',)


class _Found(object):
    """What is known so far of the kube-proxy of a node.

    arguments: kube_proxy_arguments.Arguments; its words are None if nobody knows what kube-proxy was given.
    """

    def __init__(self, form=None, running=None, process=None, placement=None):
        self.form, self.running, self.process, self.placement = form, running, process, placement
        self.unit = self.manifest = self.pod_uid = self.container_id = self.image = None
        self.arguments = kube_proxy_arguments.Arguments(None)
        self.log = None

    @property
    def is_pod(self):
        """Whether kube-proxy has the files of an image, not those of the node."""
        return self.form in POD_FORMS or self.form == 'container'


def _form_of(process, placement):
    """The form that a process and its control group tell, without the files of the node."""
    if process.uses != KUBE_PROXY:
        return process.uses
    if placement.kind == 'pod':
        return 'static_pod' if placement.static else 'daemonset'
    if placement.kind == 'container':
        return 'container'
    if placement.kind == 'unit':
        return 'systemd'
    return 'process' if process.cgroup else None


def _starter_of(process):
    """(names of programs, test of a command's words) for the unit that starts a process."""
    if process.uses == KUBE_PROXY:
        return (KUBE_PROXY, 'hyperkube'), kube_proxy_arguments.starts_kube_proxy
    if process.uses == 'k3s':
        return K3S_PROGRAMS, kube_proxy_arguments.starts_k3s
    program = {'microk8s': 'kubelite', 'openshift_sdn': 'openshift-sdn-node'}[process.uses]
    return (program,), lambda words: bool(words) and os.path.basename(words[0]) == program


def _find_unit(units, found):
    """The unit that starts a running process."""
    placement = found.placement
    if placement.kind == 'unit':
        return units.find(placement.unit)
    if found.process.cgroup is None or (found.form == 'k3s' and placement.kind is None):
        # Without control groups (a sosreport of an older kind) the unit is found by what it starts.
        return unit_commands.find_unit_of(units, *_starter_of(found.process))
    return None


def _running(node, units, process):
    """What a running process is."""
    placement = Placement(process.cgroup)
    found = _Found(_form_of(process, placement), True, process, placement)
    found.unit = _find_unit(units, found)
    if found.form is None and found.unit is not None:
        found.form = 'systemd'
    elif found.form is None:
        installed = _installed(node, units, True)
        if installed.form in POD_FORMS:
            found.form, found.manifest, found.pod_uid = installed.form, installed.manifest, installed.pod_uid
    if found.is_pod and placement.container_id:
        found.pod_uid, found.container_id = placement.pod_uid, placement.container_id
        from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_version import image_of

        found.image = image_of(node, placement.container_id)
    if found.form == 'static_pod':
        from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_pods

        found.manifest = found.manifest or kube_proxy_pods.find_manifest(node)
        if kube_proxy_pods.is_rke2(node, found.manifest, found.image):
            found.form = 'rke2'
    return found


def _installed(node, units, seen):
    """What is set up on a node on which no kube-proxy runs. seen: whether processes could be looked at."""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_argument_files, kube_proxy_pods

    running = False if seen else None
    found = _Found('systemd', running)
    found.unit = unit_commands.find_unit_of(units, (KUBE_PROXY, 'hyperkube'), kube_proxy_arguments.starts_kube_proxy)
    found.unit = found.unit or units.find(kube_proxy_argument_files.CHARMED_UNIT)
    if found.unit is not None:
        return found
    found = _Found('static_pod', running)
    found.manifest = kube_proxy_pods.find_manifest(node)
    if found.manifest is not None:
        found.form = 'rke2' if kube_proxy_pods.is_rke2(node, found.manifest, None) else 'static_pod'
        return found
    found = _Found('k3s', running)
    found.unit = unit_commands.find_unit_of(units, K3S_PROGRAMS, kube_proxy_arguments.starts_k3s)
    if found.unit is not None:
        return found
    if node.kind(kube_proxy_argument_files.MICROK8S_ARGUMENTS) == 'file':
        return _Found('microk8s', running)
    found = _Found('daemonset', running)
    found.pod_uid = kube_proxy_pods.find_configmap_pod(node)
    if found.pod_uid is not None:
        return found
    return _Found('none' if seen else None, running)


def _arguments(node, found):
    """The kube_proxy_arguments.Arguments that kube-proxy gets, without the program."""
    if found.form == 'k3s':
        from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_rancher

        return kube_proxy_rancher.k3s_arguments(node, found.unit)
    if found.form == 'microk8s':
        from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_argument_files

        return kube_proxy_argument_files.microk8s_arguments(node, found.process.argv if found.process else [])
    if found.form == 'openshift_sdn':
        return kube_proxy_arguments.Arguments([])
    words = None
    if found.process is not None:
        argv = found.process.argv
        words = kube_proxy_arguments.after_program(argv)
        if words is None and argv:
            words = argv[1:]
    elif found.unit is not None:
        words = kube_proxy_arguments.after_program(unit_commands.command_of(node, found.unit))
        if not words:
            from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_argument_files

            return kube_proxy_argument_files.vendor_arguments(node, found.unit) or kube_proxy_arguments.Arguments(words)
    elif found.manifest is not None:
        words = found.manifest.arguments
    if found.process is None and words and kube_proxy_arguments.is_open(words):
        words = None
    return kube_proxy_arguments.Arguments(words)


def _fill_unit(found, facts):
    unit = found.unit
    if unit is None:
        facts['unit'] = found.placement.unit if found.placement and found.placement.kind == 'unit' else None
        return
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import redacted

    facts.update(
        unit=unit.name,
        unit_path=unit.path,
        unit_drop_ins=unit.drop_ins,
        unit_type=unit.value('Service', 'Type') or 'simple',
        unit_exec_start_post=[redacted(entry['value']) for entry in unit.values('Service', 'ExecStartPost')],
    )
    timeout = unit.value('Service', 'TimeoutStartSec') or unit.value('Service', 'TimeoutSec')
    seconds = DEFAULT_TIMEOUT_START if timeout is None else seconds_of(timeout)
    # 0 stands for infinity too.
    facts['unit_timeout_start_seconds'] = int(seconds) if seconds and seconds < FOREVER else None


def empty():
    """`kube_proxy` of docs/facts.md with nothing known."""
    return {
        'running': None,
        'form': None,
        'vendor': None,
        'pid': None,
        'start_time': None,
        'network_namespace': None,
        'others': [],
        'unit': None,
        'unit_path': None,
        'unit_drop_ins': [],
        'unit_type': None,
        'unit_exec_start_post': [],
        'unit_timeout_start_seconds': None,
        'manifest_path': None,
        'pod_uid': None,
        'container_id': None,
        'image': None,
        'argv': [],
        'config_path': None,
        'config_read_from': None,
        'config_modified': None,
        'mode_effective': None,
        'mode_configured': None,
        'version': None,
        'version_source': None,
        'metrics_answers': None,
        'healthz_answers': None,
        'traces': {'kube_ipvs0': None, 'ip_vs_services': None, 'nft_table_kube_proxy': None},
        'kube_router': False,
        'mode': None,
        'mode_source': None,
        'metrics_address': None,
        'healthz_address': None,
        'strict_arp': None,
        'exclude_cidrs': [],
        'scheduler': None,
        'verbosity': None,
        'ignored_flags': [],
    }


def _fill_process(process, others, facts):
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import redacted_words

    facts['argv'] = redacted_words(process.argv[:MAXIMUM_ARGUMENTS])
    facts.update(pid=process.pid, start_time=process.start_time, network_namespace=process.network_namespace)
    facts['others'] = [
        {'pid': other.pid, 'network_namespace': other.network_namespace, 'form': _form_of(other, Placement(other.cgroup))} for other in others[:MAXIMUM_OTHERS]
    ]


def _find(node, units, candidates, seen):
    """(the _Found of this node, the other candidates). A k3s that was told to run no kube-proxy is none."""
    for position, process in enumerate(candidates):
        found = _running(node, units, process)
        found.arguments = _arguments(node, found)
        if not found.arguments.disabled:
            return found, candidates[:position] + candidates[position + 1 :]
    if candidates:
        return _Found('none', False), []
    found = _installed(node, units, seen)
    found.arguments = _arguments(node, found)
    return (_Found('none', found.running) if found.arguments.disabled else found), []


def read_kube_proxy(node, units, ask=True, run_binary=False, run_command=None, timeout_seconds=1.0):
    """`kube_proxy` of docs/facts.md, without what is read of the IPVS table.

    units: systemd_units.Units. ask: whether the process may be asked on its own address of this node. run_binary: whether a host
    binary may be run for its version, through RUN_COMMAND like AnsibleModule.run_command. timeout_seconds: for all questions together.
    """
    facts = empty()
    processes, seen = read_processes(node)
    facts['kube_router'] = any(process.uses == 'kube-router' for process in processes)
    found, others = _find(node, units, [process for process in processes if process.uses != 'kube-router'], seen)
    facts.update(running=found.running, form=found.form)
    if found.form == 'none':
        return facts
    if found.process is not None:
        _fill_process(found.process, others, facts)
    _fill_unit(found, facts)
    facts.update(
        manifest_path=found.manifest.path if found.manifest else None,
        pod_uid=found.pod_uid,
        container_id=found.container_id,
        image=found.image or (found.manifest.image if found.manifest else None),
    )
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_details import read_details

    read_details(node, found, facts, ask, run_binary, run_command, timeout_seconds)
    return facts
