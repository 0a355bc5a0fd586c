# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy in pods: its static manifest, and what the kubelet keeps of its ConfigMap."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_arguments import RANCHER_DIRECTORY, after_program
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_yaml import read_yaml
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import KUBE_PROXY

MANIFEST_DIRECTORIES = ('/etc/kubernetes/manifests', '/var/lib/rancher/rke2/agent/pod-manifests', '/var/lib/rancher/k3s/agent/pod-manifests', '/etc/kubelet.d')
KUBELET_ROOTS = ('/var/lib/kubelet', '/var/lib/k0s/kubelet', '/var/snap/microk8s/common/var/lib/kubelet')
KUBELET_CONFIGS = ('/var/lib/kubelet/config.yaml', '/etc/kubernetes/kubelet-config.yaml', '/var/lib/kubelet/kubelet-config.yaml')
_POD = re.compile(r'(?m)^\s*["\'{]*kind["\']?\s*:\s*["\']?Pod\b')


class Manifest(object):
    """kube-proxy's container in a static pod manifest: path, image, arguments."""

    def __init__(self, path, image, arguments, understood=True):
        self.path, self.image, self.arguments, self.understood = path, image, arguments, understood


def _containers(document):
    spec = document.get('spec') if isinstance(document, dict) and document.get('kind') == 'Pod' else None
    listed = spec.get('containers') if isinstance(spec, dict) else None
    return [container for container in listed if isinstance(container, dict)] if isinstance(listed, list) else []


def _words(value):
    return [to_text(word) for word in value] if isinstance(value, list) else []


def _manifest_directories(node):
    directories = list(MANIFEST_DIRECTORIES)
    # Only a node with files of Rancher's needs to compile what reads them.
    if node.names(RANCHER_DIRECTORY) != []:
        from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_rancher import RKE2_CONFIG, rancher_settings

        data = (rancher_settings(node, RKE2_CONFIG) or {}).get('data-dir')
        if hasattr(data, 'strip'):
            directories.insert(0, data.rstrip('/') + '/agent/pod-manifests')
    for path in KUBELET_CONFIGS:
        static = (read_yaml(node, path) or {}).get('staticPodPath')
        if hasattr(static, 'strip') and static.rstrip('/') not in directories:
            directories.append(static.rstrip('/'))
    return directories


def _manifest_in(document, path):
    """The Manifest that a document is, or None."""
    for container in _containers(document):
        command, words = _words(container.get('command')), _words(container.get('args'))
        arguments = after_program(command + words)
        if arguments is None and container.get('name') != KUBE_PROXY:
            continue
        if arguments is None and not command:
            # The program is the entry point of the image.
            arguments = words
        image = container.get('image')
        return Manifest(path, image if hasattr(image, 'strip') else None, arguments)
    return None


def _manifest_of(node, path, name, text):
    """The Manifest of kube-proxy in the text of a file, or None. Of one that is not understood nothing is known but its path."""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse_documents

    try:
        documents = parse_documents(text)
    except YamlError as error:
        if KUBE_PROXY in name:
            node.report(path, 'not understood: %s' % error)
            return Manifest(path, None, None, understood=False) if _POD.search(text) else None
        return None
    found = [_manifest_in(document, path) for document in documents]
    return next((manifest for manifest in found if manifest is not None), None)


def find_manifest(node):
    """The Manifest of kube-proxy on this node, or None. One that is understood goes before one that is not."""
    unclear = None
    for directory in _manifest_directories(node):
        names = [name for name in node.names(directory) or [] if not name.startswith('.') and not name.endswith('~')]
        for name in sorted(names, key=lambda name: (KUBE_PROXY not in name, name)):
            path = directory + '/' + name
            text = node.text(path) or ''
            if KUBE_PROXY not in text and 'hyperkube' not in text:
                continue
            found = _manifest_of(node, path, name, text)
            if found is not None and found.understood:
                return found
            unclear = unclear or found
    return unclear


def is_rke2(node, manifest, image):
    """Whether a static pod is the one that RKE2 writes."""
    if manifest is not None and '/agent/pod-manifests/' in manifest.path and 'k3s' not in manifest.path:
        return True
    return 'hardened-kube' in (image or '') or (manifest is not None and 'hardened-kube' in (manifest.image or ''))


def pod_volume(node, pod_uid, names):
    """Where the kubelet keeps one of the files called NAMES of a pod's ConfigMaps, or None."""
    for root in KUBELET_ROOTS:
        directory = '%s/pods/%s/volumes/kubernetes.io~configmap' % (root, pod_uid)
        for volume in node.names(directory) or []:
            for name in names:
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
