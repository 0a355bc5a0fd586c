# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy on a node: how it is deployed, its mode and version, and how each is known. Decided on the node alone.

A DaemonSet in the API says nothing about a node (on GKE it selects none): the process, its control group and its unit do.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re
import socket

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import http_get, kube_proxy_config, kube_proxy_forms, kube_proxy_version
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ip_addresses import address_bytes
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import KUBE_PROXY, Placement, read_processes
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import seconds_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse

MODES = kube_proxy_config.MODES
METRICS_LIMIT = 8 * 1024 * 1024
# systemd.service(5), DefaultTimeoutStartSec=
DEFAULT_TIMEOUT_START = 90
EMBEDDED_FORMS = ('k3s', 'microk8s', 'openshift_sdn')
VENDOR_SUFFIXES = (
    ('+k3s', 'k3s'),
    ('+rke2', 'rke2'),
    ('-eks-', 'eks'),
    ('-gke.', 'gke'),
    ('-tke.', 'tke'),
    ('-aliyun.', 'ack'),
    ('-vke.', 'vke'),
    ('-r', 'cce'),
)
VENDOR_PATHS = (('/opt/kube/bin/', 'kubeasz'), ('/opt/cloud/cce/', 'cce'), ('/opt/rke', 'rke1'), ('/go-runner', 'kops'), ('/snap/kube-proxy/', 'charmed'))
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
    """What is known so far of the kube-proxy of a node."""

    def __init__(self, form=None, running=None, process=None, placement=None):
        self.form, self.running, self.process, self.placement = form, running, process, placement
        self.unit = self.manifest = self.pod_uid = self.container_id = self.image = None
        self.arguments = None
        self.settings_from = None
        self.disabled = False


def _pod_form(node, found):
    placement = found.placement
    found.pod_uid, found.container_id = placement.pod_uid, placement.container_id
    found.image = kube_proxy_version.image_of(node, placement.container_id)
    if not placement.static:
        return 'daemonset'
    found.manifest = kube_proxy_forms.find_manifest(node)
    return 'rke2' if kube_proxy_forms.is_rke2(node, found.manifest, found.image) else 'static_pod'


def _running(node, units, process):
    """What a running process is."""
    found = _Found(None, True, process, Placement(process.cgroup))
    placement = found.placement
    found.unit = units.find(placement.unit) if placement.unit and placement.kind == 'unit' else None
    if process.uses != KUBE_PROXY:
        found.form = process.uses
    elif placement.kind == 'pod':
        found.form = _pod_form(node, found)
    elif placement.kind == 'container':
        found.form, found.container_id = 'container', placement.container_id
        found.image = kube_proxy_version.image_of(node, placement.container_id)
    elif placement.kind == 'unit':
        found.form = 'systemd'
    else:
        found.form = 'process' if process.cgroup else None
    if found.unit is None and process.cgroup is None:
        # Without control groups (a sosreport of an older kind) the unit is found by what it starts.
        found.unit = kube_proxy_forms.find_unit_of(units, _starter_of(process))
        if found.unit is not None and process.uses == KUBE_PROXY:
            found.form = 'systemd'
    if found.form == 'k3s':
        found.unit = found.unit or kube_proxy_forms.find_unit_of(units, lambda words: bool(words) and words[0].endswith('/k3s'))
    return found


def _starter_of(process):
    if process.uses == KUBE_PROXY:
        return lambda words: kube_proxy_forms.after_program(words) is not None
    program = {'k3s': '/k3s', 'microk8s': '/kubelite'}.get(process.uses, '/' + process.uses)
    return lambda words: bool(words) and words[0].endswith(program)


def _installed(node, units, seen):
    """What is set up on a node on which no kube-proxy runs. seen: whether processes could be looked at."""
    running = False if seen else None
    unit = kube_proxy_forms.find_unit_of(units, lambda words: kube_proxy_forms.after_program(words) is not None)
    if unit is not None:
        found = _Found('systemd', running)
        found.unit = unit
        return found
    manifest = kube_proxy_forms.find_manifest(node)
    if manifest is not None:
        found = _Found('rke2' if kube_proxy_forms.is_rke2(node, manifest, None) else 'static_pod', running)
        found.manifest = manifest
        return found
    unit = kube_proxy_forms.find_unit_of(units, lambda words: bool(words) and words[0].endswith('/k3s'))
    if unit is not None:
        found = _Found('k3s', running)
        found.unit = unit
        return found
    if node.kind(kube_proxy_forms.MICROK8S_ARGUMENTS) == 'file':
        return _Found('microk8s', running)
    uid = kube_proxy_forms.find_configmap_pod(node)
    if uid is not None:
        found = _Found('daemonset', running)
        found.pod_uid = uid
        return found
    return _Found('none' if seen else None, running)


def _fill_arguments(node, found):
    """The arguments that kube-proxy gets, without the program; None if nobody knows."""
    if found.form == 'k3s':
        found.arguments, found.settings_from, found.disabled = kube_proxy_forms.k3s_arguments(node, found.unit)
    elif found.form == 'microk8s':
        found.arguments, found.settings_from = kube_proxy_forms.microk8s_arguments(node, found.process.argv if found.process else [])
    elif found.form == 'openshift_sdn':
        found.arguments = []
    elif found.process is not None:
        words = found.process.argv
        found.arguments = kube_proxy_forms.after_program(words) if words else None
        if found.arguments is None and words:
            found.arguments = words[1:]
    elif found.unit is not None:
        found.arguments = kube_proxy_forms.after_program(kube_proxy_forms.command_of(node, found.unit))
    elif found.manifest is not None:
        found.arguments = found.manifest.arguments
    if found.form == 'systemd' and found.process is None and not found.arguments and node.kind(kube_proxy_forms.CCE_FLAGS):
        found.arguments = re.findall(r'--\S+', node.text(kube_proxy_forms.CCE_FLAGS) or '')


def _absolute(node, found, path):
    """PATH as kube-proxy sees it, also where it was given relative to a working directory."""
    if path.startswith('/'):
        return path
    directory = node.link('/proc/%d/cwd' % found.process.pid) if found.process else None
    if directory is None and found.unit is not None:
        directory = found.unit.value('Service', 'WorkingDirectory')
    return (directory or '').rstrip('/') + '/' + path


def _read_config(node, found, path):
    """(map or None, path on the node where it was read, time of its last change)."""
    candidates = []
    if found.process is not None:
        view = node.below('/proc/%d/root' % found.process.pid)
        candidates.append((view, path, '/proc/%d/root%s' % (found.process.pid, path)))
    if found.pod_uid:
        volume = kube_proxy_forms.pod_volume(node, found.pod_uid, path)
        if volume:
            candidates.append((node, volume, volume))
    if found.form not in ('daemonset', 'container'):
        candidates.append((node, path, path))
    for view, inside, shown in candidates:
        text = view.text(inside)
        if text is None:
            continue
        if found.form in ('systemd', 'process') + EMBEDDED_FORMS:
            shown = path
        try:
            document = parse(text)
        except YamlError as error:
            node.report(shown, 'not understood: %s' % error)
            return None, shown, view.modified(inside)
        if not isinstance(document, dict):
            node.report(shown, 'not a KubeProxyConfiguration')
            return None, shown, view.modified(inside)
        return document, shown, view.modified(inside)
    return None, None, None


def _settings(node, found, facts):
    """Fill in what flags and file say."""
    flags = kube_proxy_config.parse_flags(found.arguments) if found.arguments is not None else None
    settings = dict(UNKNOWN_SETTINGS)
    path = None
    if flags is not None:
        given = dict(flags).get('config')
        path = _absolute(node, found, given) if given and given != 'true' else None
    elif found.form == 'daemonset':
        # Not running: every installer mounts its ConfigMap there.
        path, flags = '/var/lib/kube-proxy/config.conf', []
    if path:
        config, read_from, modified = _read_config(node, found, path)
        facts.update(config_path=path, config_read_from=read_from, config_modified=modified)
        if config is not None:
            settings = kube_proxy_config.from_file(config, flags)
    elif flags is not None:
        settings = kube_proxy_config.from_flags(flags)
        if settings['mode_source'] == 'flag' and found.settings_from:
            settings['mode_source'] = 'argument_file'
        if found.settings_from:
            facts.update(config_path=found.settings_from, config_read_from=found.settings_from, config_modified=node.modified(found.settings_from))
    facts.update(settings)
    facts['mode_configured'] = settings['mode']


def _is_own_address(host):
    """Whether an address belongs to this machine: only then somebody else's kube-proxy cannot be the one that answers."""
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        probe = socket.socket(family, socket.SOCK_STREAM)
    except (socket.error, OSError):
        return False
    try:
        probe.bind((host, 0))
        return True
    except (socket.error, OSError, UnicodeError):
        return False
    finally:
        probe.close()


def _target(address, default_port):
    """(host, port) at which an address of the configuration can be asked from this node, or None."""
    parts = kube_proxy_config.split_address(address, default_port) if address else None
    if parts is None:
        return None
    host = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(parts[0], parts[0])
    # A name would have to be looked up, which can take long: kube-proxy takes addresses alone.
    return (host, parts[1]) if address_bytes(host) and _is_own_address(host) else None


def _ask(facts, timeout_seconds):
    """What the process itself says: its mode and version."""
    metrics = _target(facts['metrics_address'], kube_proxy_config.METRICS_PORT)
    if metrics is not None:
        status, body = http_get.get(metrics[0], metrics[1], '/proxyMode', timeout_seconds, 1024)
        facts['metrics_answers'] = status is not None
        mode = body.decode('utf-8', 'replace').strip()
        if status == 200 and mode in MODES:
            facts['mode_effective'], facts['mode_source'] = mode, 'proxy_mode_endpoint'
        if status is not None:
            version = kube_proxy_version.build_info
            dummy, body = http_get.get(
                metrics[0], metrics[1], '/metrics', timeout_seconds, METRICS_LIMIT, until=lambda data: version(data[-131072:]) is not None
            )
            found = version(body)
            if found:
                facts['version'], facts['version_source'] = found, 'metrics'
    healthz = _target(facts['healthz_address'], kube_proxy_config.HEALTHZ_PORT)
    if healthz is not None:
        facts['healthz_answers'] = http_get.get(healthz[0], healthz[1], '/healthz', timeout_seconds, 1024)[0] is not None


def _find_version(node, found, facts, run_binary, run_command):
    """The version, where the process did not say it: image, snap, log, and, if allowed, the binary."""
    for image in (found.image, found.manifest.image if found.manifest else None):
        version = kube_proxy_version.from_image(image)
        if version and not facts['version']:
            facts['version'], facts['version_source'] = version, 'image'
    if not facts['version'] and found.form == 'microk8s':
        facts['version'] = kube_proxy_version.from_snap(node)
        facts['version_source'] = 'snap' if facts['version'] else None
    if found.form in ('daemonset', 'static_pod', 'rke2', 'systemd') and (not facts['version'] or not facts['mode_effective']):
        version, mode = kube_proxy_version.from_logs(node, found.pod_uid)
        if version and not facts['version']:
            facts['version'], facts['version_source'] = version, 'log'
        if mode and not facts['mode_effective']:
            facts['mode_effective'], facts['mode_source'] = mode, 'log'
    if not facts['version'] and run_binary and run_command and node.live and found.form == 'systemd':
        words = found.process.argv if found.process else kube_proxy_forms.command_of(node, found.unit) if found.unit else []
        if words and words[0].startswith('/') and words[0].endswith('/kube-proxy'):
            facts['version'] = kube_proxy_version.from_binary(words[0], run_command)
            facts['version_source'] = 'binary' if facts['version'] else None


def _vendor(found, facts):
    """Who built or installed it, for the reader alone."""
    for suffix, vendor in VENDOR_SUFFIXES:
        if suffix in (facts['version'] or '') and (suffix != '-r' or re.search(r'-r\d+', facts['version'])):
            return vendor
    text = ' '.join((found.process.argv if found.process else []) + [facts['config_path'] or '', facts['unit_path'] or ''])
    for path, vendor in VENDOR_PATHS:
        if path in text:
            return vendor
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
    facts['unit_timeout_start_seconds'] = int(seconds) if seconds else None


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


def _fill_process(found, others, facts):
    process = found.process
    facts['argv'] = process.argv[:200]
    facts.update(pid=process.pid, start_time=process.start_time, network_namespace=process.network_namespace)
    facts['others'] = [{'pid': other.pid, 'network_namespace': other.network_namespace, 'form': other.uses} for other in others]


def read_kube_proxy(node, units, ask=True, run_binary=False, run_command=None, timeout_seconds=1.0):
    """`kube_proxy` of docs/facts.md, without what is read of the IPVS table.

    units: systemd_units.Units. ask: whether the process may be asked on its own address of this node. run_binary: whether a host
    binary may be run for its version, through RUN_COMMAND like AnsibleModule.run_command. timeout_seconds: for each question.
    """
    facts = empty()
    processes, seen = read_processes(node)
    facts['kube_router'] = any(process.uses == 'kube-router' for process in processes)
    candidates = [process for process in processes if process.uses != 'kube-router']
    found = _running(node, units, candidates[0]) if candidates else _installed(node, units, seen)
    facts.update(running=found.running, form=found.form)
    if found.process is not None:
        _fill_process(found, candidates[1:], facts)
    _fill_unit(found, facts)
    _fill_arguments(node, found)
    if found.disabled:
        facts.update(form='none', running=False)
        return facts
    facts.update(
        manifest_path=found.manifest.path if found.manifest else None,
        pod_uid=found.pod_uid,
        container_id=found.container_id,
        image=found.image or (found.manifest.image if found.manifest else None),
    )
    if found.form not in (None, 'none'):
        _settings(node, found, facts)
        if node.live and ask and found.running and facts['network_namespace'] != 'other':
            _ask(facts, timeout_seconds)
        _find_version(node, found, facts, run_binary, run_command)
    if facts['mode_effective'] is not None:
        facts['mode'] = facts['mode_effective']
    facts['version'] = facts['version'].lstrip('v') if facts['version'] else None
    facts['vendor'] = _vendor(found, facts)
    return facts
