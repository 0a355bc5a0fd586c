# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy on a node: how it is deployed, its mode and version, and how each is known. Decided on the node alone.

A DaemonSet in the API says nothing about a node (on GKE it selects none): the process, its control group and its unit do.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_config, kube_proxy_forms, kube_proxy_version
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_answers import ask_process
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import KUBE_PROXY, Placement, read_processes
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import seconds_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse

MAXIMUM_ARGUMENTS, MAXIMUM_OTHERS = 200, 20
# systemd.service(5), DefaultTimeoutStartSec=
DEFAULT_TIMEOUT_START = 90
FOREVER = 10**9
POD_FORMS = ('daemonset', 'static_pod', 'rke2')
# Where each name of a ConfigMap's key is used by an installer, the most common first.
CONFIG_MAP_KEYS = ('config.conf', 'config', 'kube-proxy-config.yaml')
K3S_PROGRAMS = ('k3s',)
VENDOR_SUFFIXES = (
    (r'\+k3s', 'k3s'),
    (r'[+-]rke2r', 'rke2'),
    (r'-eks-|-eksbuild\.', 'eks'),
    (r'-gke\.', 'gke'),
    (r'-tke\.', 'tke'),
    (r'-aliyun\.', 'ack'),
    (r'-vke\.', 'vke'),
    (r'-rancher\d', 'rke1'),
    (r'-r\d', 'cce'),
)
VENDOR_PATHS = (
    ('/opt/kube/bin/', 'kubeasz'),
    ('/opt/cloud/cce/', 'cce'),
    ('/opt/rke', 'rke1'),
    ('/go-runner', 'kops'),
    ('/snap/kube-proxy/', 'charmed'),
    ('/snap/microk8s/', 'microk8s'),
)
UK8S_SCRIPT = '/etc/kubernetes/set-conn-reuse-mode.sh'
UNKNOWN_SETTINGS = {
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


class _Found(object):
    """What is known so far of the kube-proxy of a node.

    arguments: kube_proxy_forms.Arguments; its words are None if nobody knows what kube-proxy was given.
    """

    def __init__(self, form=None, running=None, process=None, placement=None):
        self.form, self.running, self.process, self.placement = form, running, process, placement
        self.unit = self.manifest = self.pod_uid = self.container_id = self.image = None
        self.arguments = kube_proxy_forms.Arguments(None)
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
        return (KUBE_PROXY, 'hyperkube'), kube_proxy_forms.starts_kube_proxy
    if process.uses == 'k3s':
        return K3S_PROGRAMS, kube_proxy_forms.starts_k3s
    program = {'microk8s': 'kubelite', 'openshift_sdn': 'openshift-sdn-node'}[process.uses]
    return (program,), lambda words: bool(words) and os.path.basename(words[0]) == program


def _find_unit(units, found):
    """The unit that starts a running process."""
    placement = found.placement
    if placement.kind == 'unit':
        return units.find(placement.unit)
    if found.process.cgroup is None or (found.form == 'k3s' and placement.kind is None):
        # Without control groups (a sosreport of an older kind) the unit is found by what it starts.
        return kube_proxy_forms.find_unit_of(units, *_starter_of(found.process))
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
        found.image = kube_proxy_version.image_of(node, placement.container_id)
    if found.form == 'static_pod':
        found.manifest = found.manifest or kube_proxy_forms.find_manifest(node)
        if kube_proxy_forms.is_rke2(node, found.manifest, found.image):
            found.form = 'rke2'
    return found


def _installed(node, units, seen):
    """What is set up on a node on which no kube-proxy runs. seen: whether processes could be looked at."""
    running = False if seen else None
    found = _Found('systemd', running)
    found.unit = kube_proxy_forms.find_unit_of(units, (KUBE_PROXY, 'hyperkube'), kube_proxy_forms.starts_kube_proxy) or units.find(
        kube_proxy_forms.CHARMED_UNIT
    )
    if found.unit is not None:
        return found
    found = _Found('static_pod', running)
    found.manifest = kube_proxy_forms.find_manifest(node)
    if found.manifest is not None:
        found.form = 'rke2' if kube_proxy_forms.is_rke2(node, found.manifest, None) else 'static_pod'
        return found
    found = _Found('k3s', running)
    found.unit = kube_proxy_forms.find_unit_of(units, K3S_PROGRAMS, kube_proxy_forms.starts_k3s)
    if found.unit is not None:
        return found
    if node.kind(kube_proxy_forms.MICROK8S_ARGUMENTS) == 'file':
        return _Found('microk8s', running)
    found = _Found('daemonset', running)
    found.pod_uid = kube_proxy_forms.find_configmap_pod(node)
    if found.pod_uid is not None:
        return found
    return _Found('none' if seen else None, running)


def _arguments(node, found):
    """The kube_proxy_forms.Arguments that kube-proxy gets, without the program."""
    if found.form == 'k3s':
        return kube_proxy_forms.k3s_arguments(node, found.unit)
    if found.form == 'microk8s':
        return kube_proxy_forms.microk8s_arguments(node, found.process.argv if found.process else [])
    if found.form == 'openshift_sdn':
        return kube_proxy_forms.Arguments([])
    words = None
    if found.process is not None:
        argv = found.process.argv
        words = kube_proxy_forms.after_program(argv)
        if words is None and argv:
            words = argv[1:]
    elif found.unit is not None:
        words = kube_proxy_forms.after_program(kube_proxy_forms.command_of(node, found.unit))
        if not words:
            return kube_proxy_forms.vendor_arguments(node, found.unit) or kube_proxy_forms.Arguments(words)
    elif found.manifest is not None:
        words = found.manifest.arguments
    return kube_proxy_forms.Arguments(words)


def _absolute(node, found, path):
    """PATH as kube-proxy sees it, also where it was given relative to a working directory."""
    if path.startswith('/'):
        return path
    directory = node.link('/proc/%d/cwd' % found.process.pid) if found.process else None
    if directory is None and found.unit is not None:
        directory = found.unit.value('Service', 'WorkingDirectory')
    return (directory or '').rstrip('/') + '/' + path


def _config_candidates(node, found, path):
    """[(files to read from, path in them, path to show)] of where kube-proxy's file PATH, None if that is not known, can be."""
    candidates = []
    if found.process is not None and path:
        root = '/proc/%d/root' % found.process.pid
        # A process of the host has the node's own files, unless its unit gives it another root.
        if found.is_pod or node.link(root) not in (None, '/'):
            candidates.append((node.below(root), path, root + path))
    if found.pod_uid:
        volume = kube_proxy_forms.pod_volume(node, found.pod_uid, [path.rpartition('/')[2]] if path else CONFIG_MAP_KEYS)
        if volume:
            candidates.append((node, volume, volume))
    if path and found.form not in ('daemonset', 'container'):
        candidates.append((node, path, path))
    return candidates


def _read_config(node, found, path):
    """(map or None, path on the node where it was read, time of its last change)."""
    for view, inside, shown in _config_candidates(node, found, path):
        text = view.text(inside)
        if text is None:
            continue
        document = None
        try:
            document = parse(text)
            if not isinstance(document, dict):
                node.report(shown, 'not a KubeProxyConfiguration')
        except YamlError as error:
            node.report(shown, 'not understood: %s' % error)
        return document if isinstance(document, dict) else None, shown, view.modified(inside)
    return None, None, None


def _settings(node, found, facts):
    """Fill in what flags and file say."""
    words = found.arguments.words
    flags = kube_proxy_config.parse_flags(words) if words is not None else []
    given = dict(flags).get('config')
    path = _absolute(node, found, given) if given and given != 'true' else None
    settings = dict(UNKNOWN_SETTINGS)
    if path or (words is None and found.pod_uid):
        config, read_from, modified = _read_config(node, found, path)
        facts.update(config_path=path, config_read_from=read_from, config_modified=modified)
        if config is not None:
            settings = kube_proxy_config.from_file(config, flags)
    elif words is not None:
        settings = kube_proxy_config.from_flags(flags)
        if settings['mode_source'] == 'flag':
            settings['mode_source'] = found.arguments.mode_source or 'flag'
    if not path and found.arguments.path:
        facts.update(config_path=found.arguments.path, config_read_from=found.arguments.path, config_modified=node.modified(found.arguments.path))
    facts.update(settings)
    facts['mode_configured'] = settings['mode']


def _binary_of(node, found):
    """The path of the host binary that runs, or would run, as kube-proxy; None if it was replaced since its start."""
    words = found.process.argv if found.process else kube_proxy_forms.command_of(node, found.unit) if found.unit else []
    if not words or not words[0].startswith('/') or os.path.basename(words[0]) != KUBE_PROXY:
        return None
    if found.process is not None and node.link('/proc/%d/exe' % found.process.pid) != os.path.realpath(words[0]):
        return None
    return words[0]


def _versions(node, found, run_binary, run_command):
    """(source, version) of all places that may tell the version without the process, the best first, each looked at when it is asked for."""
    for image in (found.image, found.manifest.image if found.manifest else None):
        yield 'image', kube_proxy_version.from_image(image)
    program = found.process.argv[0] if found.process and found.process.argv else None
    if found.form == 'microk8s' or '/snap/' in (program or ''):
        yield 'snap', kube_proxy_version.from_snap(node, program)
    if found.log is not None:
        yield 'log', found.log[0]
    if run_binary and run_command and node.live and found.form == 'systemd':
        binary = _binary_of(node, found)
        yield 'binary', kube_proxy_version.from_binary(binary, run_command) if binary else None


def _read_log(node, found):
    """(version, mode) that the log of the present kube-proxy says, or None for forms that write into the journal of another program."""
    if found.form not in POD_FORMS + ('container', 'systemd', 'process'):
        return None
    process = found.process
    pid = process.pid if process and not found.is_pod else None
    return kube_proxy_version.from_logs(node, found.pod_uid, found.container_id, not found.is_pod, pid, process.start_time if process else None)


def _find_version(node, found, facts, run_binary, run_command):
    """The version, where the process did not say it, and its mode from the log."""
    found.log = _read_log(node, found) if not facts['version'] or not facts['mode_effective'] else None
    if not facts['version']:
        for source, version in _versions(node, found, run_binary, run_command):
            if version:
                facts['version'], facts['version_source'] = version, source
                break
    # What does not run has no mode in effect.
    if found.log is not None and found.log[1] and not facts['mode_effective'] and found.running is not False:
        facts['mode_effective'], facts['mode_source'] = found.log[1], 'log'


def _vendor(node, found, facts):
    """Who built or installed it, for the reader alone."""
    for pattern, vendor in VENDOR_SUFFIXES:
        if re.search(pattern, facts['version'] or ''):
            return vendor
    text = ' '.join((found.process.argv if found.process else []) + [facts['config_path'] or '', facts['unit_path'] or ''])
    for path, vendor in VENDOR_PATHS:
        if path in text:
            return vendor
    if node.kind(UK8S_SCRIPT):
        return 'uk8s'
    return found.form if found.form in ('k3s', 'rke2', 'microk8s') else None


def _fill_unit(found, facts):
    unit = found.unit
    if unit is None:
        facts['unit'] = found.placement.unit if found.placement and found.placement.kind == 'unit' else None
        return
    facts.update(
        unit=unit.name,
        unit_path=unit.path,
        unit_drop_ins=unit.drop_ins,
        unit_type=unit.value('Service', 'Type') or 'simple',
        unit_exec_start_post=[entry['value'] for entry in unit.values('Service', 'ExecStartPost')],
    )
    timeout = unit.value('Service', 'TimeoutStartSec') or unit.value('Service', 'TimeoutSec')
    seconds = DEFAULT_TIMEOUT_START if timeout is None else seconds_of(timeout)
    # 0 stands for infinity too.
    facts['unit_timeout_start_seconds'] = int(seconds) if seconds and seconds < FOREVER else None


def empty():
    """`kube_proxy` of docs/facts.md with nothing known."""
    facts = {
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
    }
    facts.update(UNKNOWN_SETTINGS)
    return facts


def _fill_process(process, others, facts):
    facts['argv'] = process.argv[:MAXIMUM_ARGUMENTS]
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
    if found.form is not None or found.running:
        _settings(node, found, facts)
        if node.live and ask and found.running and facts['network_namespace'] != 'other':
            ask_process(node, facts, timeout_seconds)
        _find_version(node, found, facts, run_binary, run_command)
    if facts['mode_effective'] is not None:
        facts['mode'] = facts['mode_effective']
    facts['vendor'] = _vendor(node, found, facts)
    return facts
