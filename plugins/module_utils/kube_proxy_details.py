# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the kube-proxy that was found on a node is set to, its version and mode: from its files, its log, and from itself."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_config, kube_proxy_version, unit_commands
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_answers import ask_process
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import KUBE_PROXY
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import expanded
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse

# Where each name of a ConfigMap's key is used by an installer, the most common first.
CONFIG_MAP_KEYS = ('config.conf', 'config', 'kube-proxy-config.yaml')
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


def _absolute(node, found, path):
    """PATH as kube-proxy sees it, also where it was given relative to a working directory."""
    if path.startswith('/'):
        return path
    directory = node.link('/proc/%d/cwd' % found.process.pid) if found.process else None
    if directory is None and found.unit is not None:
        directory = expanded((found.unit.value('Service', 'WorkingDirectory') or '').lstrip('-'), found.unit.name)
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
        from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_pods

        volume = kube_proxy_pods.pod_volume(node, found.pod_uid, [path.rpartition('/')[2]] if path else CONFIG_MAP_KEYS)
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
    settings = {}
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
    facts['mode_configured'] = settings.get('mode')


def _binary_of(node, found):
    """The path of the host binary that runs, or would run, as kube-proxy; None if it was replaced since its start."""
    words = found.process.argv if found.process else unit_commands.command_of(node, found.unit) if found.unit else []
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
    if not found.is_pod and found.form not in ('systemd', 'process'):
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


def read_details(node, found, facts, ask, run_binary, run_command, timeout_seconds):
    """Fill in FACTS what is known of FOUND beyond its form; the other arguments are those of read_kube_proxy()."""
    if found.form is not None or found.running:
        _settings(node, found, facts)
        if node.live and ask and found.running and facts['network_namespace'] != 'other':
            ask_process(node, facts, timeout_seconds)
        _find_version(node, found, facts, run_binary, run_command)
    if facts['mode_effective'] is not None:
        facts['mode'] = facts['mode_effective']
    facts['vendor'] = _vendor(node, found, facts)
