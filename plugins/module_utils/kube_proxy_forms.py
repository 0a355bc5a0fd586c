# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the arguments of kube-proxy stand in each form that it is deployed in."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import HYPERKUBE_WORDS, KUBE_PROXY
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import split_command
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse, parse_documents

K3S_CONFIG, RKE2_CONFIG = '/etc/rancher/k3s/config.yaml', '/etc/rancher/rke2/config.yaml'
# What k3s and RKE2 give kube-proxy themselves (k3s-io/k3s pkg/daemons/agent).
RANCHER_FLAGS = ('--proxy-mode=iptables', '--healthz-bind-address=127.0.0.1')
RKE2_DATA = '/var/lib/rancher/rke2'
MICROK8S_ARGUMENTS = '/var/snap/microk8s/current/args/kube-proxy'
MANIFEST_DIRECTORIES = (
    '/etc/kubernetes/manifests',
    '/var/lib/rancher/rke2/agent/pod-manifests',
    '/var/lib/rancher/k3s/agent/pod-manifests',
    '/etc/kubelet.d',
)
KUBELET_ROOTS = ('/var/lib/kubelet', '/var/lib/k0s/kubelet', '/var/snap/microk8s/common/var/lib/kubelet')
KUBELET_CONFIGS = ('/var/lib/kubelet/config.yaml', '/etc/kubernetes/kubelet-config.yaml', '/var/lib/kubelet/kubelet-config.yaml')
CCE_FLAGS = '/opt/cloud/cce/kubernetes/kube-proxy/kube-proxy'


def read_yaml(node, path):
    """The first document of a file as a map, {} if it is absent or unreadable."""
    text = node.text(path)
    if not text:
        return {}
    try:
        document = parse(text)
    except YamlError as error:
        node.report(path, 'not understood: %s' % error)
        return {}
    return document if isinstance(document, dict) else {}


def after_program(words):
    """The arguments of kube-proxy within a command line that starts it, also behind go-runner, a shell or hyperkube; None if it does not."""
    for position, word in enumerate(words):
        base = os.path.basename(word)
        if base == KUBE_PROXY:
            return words[position + 1 :]
        if base == 'hyperkube' and words[position + 1 : position + 2] and words[position + 1] in HYPERKUBE_WORDS:
            return words[position + 2 :]
        if re.search(r'(?:^|[\s/])kube-proxy\s', word) and position and words[position - 1].endswith('c'):
            inner = re.split(r'\s\d?>|[|;&]', re.sub(r'^\s*exec\s+', '', word))[0].split()
            return after_program(inner)
    return None


# --- systemd ----------------------------------------------------------------------------------------------------------


def environment_of(node, unit):
    """{name: value} of a unit's Environment= and EnvironmentFile=."""
    found = {}
    for entry in unit.values('Service', 'Environment'):
        found.update(re.findall(r'(\w+)=(\S*)', ' '.join(split_command(entry['value']))))
        for word in split_command(entry['value']):
            name, separator, value = word.partition('=')
            if separator:
                found[name] = value
    for entry in unit.values('Service', 'EnvironmentFile'):
        path = entry['value'].lstrip('-').replace('%N', unit.name.rpartition('.')[0]).replace('%n', unit.name)
        text = (node.text(path) or '').replace('\\\n', ' ')
        for name, value in re.findall(r'(?m)^\s*(?:export\s+)?(\w+)=(.*)$', text):
            value = value.strip()
            if len(value) > 1 and value[0] == value[-1] and value[0] in '"\'':
                value = value[1:-1]
            found[name] = value
    return found


def command_of(node, unit):
    """The words of a unit's ExecStart with its variables filled in."""
    starts = unit.values('Service', 'ExecStart')
    if not starts:
        return []
    environment = environment_of(node, unit)
    words = []
    for word in split_command(starts[-1]['value']):
        whole = re.match(r'^\$(\w+)$', word)
        if whole:
            # $NAME alone is split into words, ${NAME} is not (systemd.service(5)).
            words.extend(environment.get(whole.group(1), '').split())
        else:
            words.append(re.sub(r'\$\{?(\w+)\}?', lambda match: environment.get(match.group(1), ''), word))
    return [word for word in words if word]


def find_unit_of(units, program_test):
    """The first unit whose ExecStart passes PROGRAM_TEST, a function of its words."""
    for name in units.names():
        unit = units.find(name)
        if unit is not None and not unit.masked and any(program_test(split_command(entry['value'])) for entry in unit.values('Service', 'ExecStart')):
            return unit
    return None


# --- k3s and RKE2 -----------------------------------------------------------------------------------------------------


def _rancher_files(node, path):
    names = node.names(path + '.d') or []
    return [path] + [path + '.d/' + name for name in names if name.endswith(('.yaml', '.yml'))]


def rancher_setting(node, path, key):
    """A key of a Rancher config.yaml and its directory: a later file replaces it, `key+` adds to it."""
    value = None
    for source in _rancher_files(node, path):
        document = read_yaml(node, source)
        if key in document:
            value = document[key]
        if key + '+' in document:
            more, have = document[key + '+'], value
            value = (have if isinstance(have, list) else [have] if have is not None else []) + (more if isinstance(more, list) else [more])
    return value


def _rancher_command(words):
    """(kube-proxy-arg of a command line, its config file or None, whether kube-proxy is switched off)."""
    arguments, config, disabled = [], None, False
    for position, word in enumerate(words):
        name, separator, value = word.partition('=')
        if name in ('--kube-proxy-arg', '--config', '-c') and not separator:
            value = words[position + 1] if position + 1 < len(words) else ''
        if name == '--kube-proxy-arg':
            arguments.append(value)
        elif name in ('--config', '-c'):
            config = value
        elif name == '--disable-kube-proxy':
            disabled = value != 'false'
    return arguments, config, disabled


def k3s_arguments(node, unit):
    """(arguments as kube-proxy gets them, config file of k3s, whether kube-proxy is switched off).

    /proc does not show them: k3s writes its title over them.
    """
    words = command_of(node, unit) if unit else []
    given, config, disabled = _rancher_command(words)
    config = config or (environment_of(node, unit).get('K3S_CONFIG_FILE') if unit else None) or K3S_CONFIG
    listed = rancher_setting(node, config, 'kube-proxy-arg')
    listed = listed if isinstance(listed, list) else [listed] if listed else []
    arguments = ['--' + str(argument).lstrip('-').replace('+=', '=', 1) for argument in listed + given if argument]
    named = set(argument.partition('=')[0] for argument in arguments)
    built_in = [flag for flag in RANCHER_FLAGS if flag.partition('=')[0] not in named]
    return built_in + arguments, config, disabled or rancher_setting(node, config, 'disable-kube-proxy') is True


# --- MicroK8s ---------------------------------------------------------------------------------------------------------


def microk8s_arguments(node, argv):
    """(arguments, path of the file in which they stand)."""
    path = MICROK8S_ARGUMENTS
    for word in argv:
        if word.startswith('--proxy-args-file='):
            path = word.partition('=')[2]
    text = node.text(path)
    if text is None and path != MICROK8S_ARGUMENTS:
        path = MICROK8S_ARGUMENTS
        text = node.text(path)
    words = []
    for line in (text or '').split('\n'):
        if not line.lstrip().startswith('#'):
            words.extend(line.replace('"', '').replace("'", '').split())
    return [word.replace('${SNAP_DATA}', '/var/snap/microk8s/current').replace('$SNAP_DATA', '/var/snap/microk8s/current') for word in words], path


# --- pods -------------------------------------------------------------------------------------------------------------


class Manifest(object):
    """kube-proxy's container in a static pod manifest: path, image, arguments."""

    def __init__(self, path, image, arguments):
        self.path, self.image, self.arguments = path, image, arguments


def _containers(document):
    spec = document.get('spec') if isinstance(document, dict) and document.get('kind') == 'Pod' else None
    listed = spec.get('containers') if isinstance(spec, dict) else None
    return [container for container in listed if isinstance(container, dict)] if isinstance(listed, list) else []


def _words(value):
    return [str(word) if not hasattr(word, 'strip') else word for word in value] if isinstance(value, list) else []


def find_manifest(node):
    """The Manifest of kube-proxy on this node, or None."""
    directories = list(MANIFEST_DIRECTORIES)
    data = read_yaml(node, RKE2_CONFIG).get('data-dir')
    if hasattr(data, 'strip'):
        directories.insert(0, data.rstrip('/') + '/agent/pod-manifests')
    for path in KUBELET_CONFIGS:
        static = read_yaml(node, path).get('staticPodPath')
        if hasattr(static, 'strip') and static.rstrip('/') not in directories:
            directories.append(static.rstrip('/'))
    for directory in directories:
        for name in node.names(directory) or []:
            path = directory + '/' + name
            if KUBE_PROXY not in name or name.startswith('.') or name.endswith('~'):
                continue
            try:
                documents = parse_documents(node.text(path) or '')
            except YamlError as error:
                node.report(path, 'not understood: %s' % error)
                continue
            for container in [container for document in documents for container in _containers(document)]:
                words = _words(container.get('command')) + _words(container.get('args'))
                arguments = after_program(words)
                if arguments is None and container.get('name') == KUBE_PROXY:
                    arguments = words
                if arguments is not None:
                    image = container.get('image')
                    return Manifest(path, image if hasattr(image, 'strip') else None, arguments)
    return None


def is_rke2(node, manifest, image):
    """Whether a static pod is the one that RKE2 writes."""
    if manifest is not None and '/agent/pod-manifests/' in manifest.path and 'k3s' not in manifest.path:
        return True
    return 'hardened-kube' in (image or '') or (manifest is not None and 'hardened-kube' in (manifest.image or ''))


def pod_volume(node, pod_uid, path):
    """Where the kubelet keeps a file of a pod's ConfigMap that the pod sees at PATH, or None."""
    name = path.rpartition('/')[2]
    for root in KUBELET_ROOTS:
        directory = '%s/pods/%s/volumes/kubernetes.io~configmap' % (root, pod_uid)
        for volume in node.names(directory) or []:
            candidate = '%s/%s/%s' % (directory, volume, name)
            if node.kind(candidate) == 'file':
                return candidate
    return None


def find_configmap_pod(node):
    """The uid of a pod on this node that has a ConfigMap of kube-proxy, or None. It may belong to a pod that has ended."""
    for root in KUBELET_ROOTS:
        for uid in node.names(root + '/pods') or []:
            volumes = node.names('%s/pods/%s/volumes/kubernetes.io~configmap' % (root, uid)) or []
            if any(volume.startswith('kube-proxy') for volume in volumes):
                return uid
    return None
