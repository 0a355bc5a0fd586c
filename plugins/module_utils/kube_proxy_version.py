# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The version of kube-proxy, and its mode, from what it left on the node: image names, snaps, logs, its binary."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import json
import os
import re
import stat

LOG_BYTES = 256 * 1024
CONTAINER_CONFIGS = (
    ('/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json', 'io.kubernetes.cri.image-name'),
    ('/run/containerd/io.containerd.runtime.v1.linux/k8s.io/%s/config.json', 'io.kubernetes.cri.image-name'),
    ('/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json', 'io.kubernetes.cri.image-name'),
    ('/run/k0s/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json', 'io.kubernetes.cri.image-name'),
    ('/var/snap/microk8s/common/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json', 'io.kubernetes.cri.image-name'),
    ('/run/containers/storage/overlay-containers/%s/userdata/config.json', 'io.kubernetes.cri-o.ImageName'),
    ('/var/lib/containers/storage/overlay-containers/%s/userdata/config.json', 'io.kubernetes.cri-o.ImageName'),
)
DOCKER_CONFIG = '/var/lib/docker/containers/%s/config.v2.json'
SNAP = '/snap/microk8s/current/meta/snap.yaml'
# kops, GKE, and Huawei CCE from 1.21 and up to 1.19.
LOG_FILES = ('/var/log/kube-proxy.log', '/var/log/cce/kubernetes/kube-proxy.log', '/var/paas/sys/log/kubernetes/kube-proxy.log')
POD_LOGS = '/var/log/pods'
_LOG_VERSION = re.compile(r'"Version info" version="v([^"\s]+)"|\bVersion: v(\d\S*)')
_LOG_MODE = re.compile(r'\bUsing (ipvs|iptables|nftables|userspace) Proxier')
_BUILD_INFO = re.compile(b'kubernetes_build_info\\{[^}]*git_?[vV]ersion="v?([^"]+)"')


def build_info(metrics):
    """The version in the metrics of kube-proxy (bytes), or None."""
    found = _BUILD_INFO.search(metrics)
    return found.group(1).decode('utf-8', 'replace') if found else None


def from_image(image):
    """The version in the tag of an image name, or None for digests and names like `latest`."""
    tag = re.search(r':v?(\d+\.\d+[\w.+-]*)$', (image or '').partition('@')[0])
    return tag.group(1) if tag else None


def _json(node, path):
    text = node.text(path, limit=4 * 1024 * 1024)
    try:
        document = json.loads(text) if text else {}
    except ValueError as error:
        node.report(path, 'not JSON: %s' % error)
        return {}
    return document if isinstance(document, dict) else {}


def image_of(node, container_id):
    """The image name of a running container as its runtime keeps it on disk, or None."""
    if not container_id:
        return None
    for path, annotation in CONTAINER_CONFIGS:
        annotations = _json(node, path % container_id).get('annotations')
        image = annotations.get(annotation) if isinstance(annotations, dict) else None
        if hasattr(image, 'strip') and image:
            return image
    config = _json(node, DOCKER_CONFIG % container_id).get('Config')
    image = config.get('Image') if isinstance(config, dict) else None
    return image if hasattr(image, 'strip') and image else None


def from_snap(node):
    """The version of the installed MicroK8s, or None."""
    found = re.search(r'(?m)^version:\s*["\']?v?(\d[^"\'\s]*)', node.text(SNAP) or '')
    return found.group(1) if found else None


def _log_number(name):
    found = re.match(r'(\d+)\.log$', name)
    return int(found.group(1)) if found else -1


def log_files(node, pod_uid):
    """The log files of the present kube-proxy, best first."""
    found = []
    pods = [name for name in node.names(POD_LOGS) or [] if name.startswith('kube-system_kube-proxy')]
    if pod_uid:
        pods = [name for name in pods if name.endswith('_' + pod_uid)]
    for pod in pods[:5]:
        for container in [name for name in node.names('%s/%s' % (POD_LOGS, pod)) or [] if name.startswith('kube-proxy')]:
            directory = '%s/%s/%s' % (POD_LOGS, pod, container)
            logs = sorted((node.names(directory) or []), key=_log_number)
            # The container that runs now writes the file with the highest number.
            found.extend(directory + '/' + name for name in logs[-1:] if _log_number(name) >= 0)
    return found + [path for path in LOG_FILES if not pod_uid or path == LOG_FILES[0]]


def from_logs(node, pod_uid):
    """(version or None, mode or None) that the last start of kube-proxy wrote into a log file."""
    for path in log_files(node, pod_uid):
        text = node.ends(path, LOG_BYTES)
        versions, modes = _LOG_VERSION.findall(text or ''), _LOG_MODE.findall(text or '')
        if versions or modes:
            return (versions[-1][0] or versions[-1][1]) if versions else None, modes[-1] if modes else None
    return None, None


def from_binary(path, run_command):
    """The version that a host binary prints, or None. Only one that belongs to root and that nobody else can write is run."""
    try:
        real = os.path.realpath(path)
        mode = os.stat(real)
        directory = os.stat(os.path.dirname(real))
    except (IOError, OSError):
        return None
    for entry in (mode, directory):
        if entry.st_uid != 0 or entry.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return None
    if not stat.S_ISREG(mode.st_mode):
        return None
    code, output, dummy = run_command([real, '--version'])
    found = re.search(r'Kubernetes v(\S+)', output or '')
    return found.group(1) if code == 0 and found else None
