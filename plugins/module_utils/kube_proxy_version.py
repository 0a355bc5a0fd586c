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

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import is_roots_alone

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
MAXIMUM_PODS = 5
DOCKER_LOG = '/var/lib/docker/containers/%s/%s-json.log'
DOCKER_CONFIG = '/var/lib/docker/containers/%s/config.v2.json'
MICROK8S_SNAP = '/snap/microk8s/current'
# kops, GKE, and Huawei CCE from 1.21 and up to 1.19.
LOG_FILES = ('/var/log/kube-proxy.log', '/var/log/cce/kubernetes/kube-proxy.log', '/var/paas/sys/log/kubernetes/kube-proxy.log')
POD_LOGS = '/var/log/pods'
# As text until 1.22 and from 1.23, and as JSON.
_LOG_VERSION = re.compile(r'(?:"Version info" version="v|\bVersion: v|"msg":"Version info"[^\n]{0,300}?"version":"v)(\d[^"\s]{0,99})')
_LOG_MODE = re.compile(r'\bUsing (ipvs|iptables|nftables|userspace) Proxier')
# klog: level, month and day, time, process id.
_LOG_HEAD = re.compile(r'^[IWEF]\d{4} \d\d:\d\d:\d\d\.\d+ +(\d+) ')
_BUILD_INFO = re.compile(b'kubernetes_build_info\\{[^}\n]{0,2000}git_?[vV]ersion="v?([^"]{1,100})"')
_SNAP = re.compile(r'^((?:/var/lib/snapd)?/snap/[^/]+)/([^/]+)/')
# The clock of a file system and that of the processes may differ by this much.
SLACK_SECONDS = 2


def build_info(metrics):
    """The version in the metrics of kube-proxy (bytes), or None."""
    found = _BUILD_INFO.search(metrics)
    return found.group(1).decode('utf-8', 'replace') if found else None


def from_image(image):
    """The version in the tag of an image name, or None for digests and names like `latest` or `v1.28`."""
    tag = re.search(r':v?(1\.\d+\.\d+(?:[-+_.][\w.+-]*)?)$', (image or '').partition('@')[0])
    return tag.group(1) if tag else None


def _json(node, path):
    text = node.text(path, limit=4 * 1024 * 1024)
    try:
        document = json.loads(text) if text else {}
    except (ValueError, RuntimeError) as error:
        # The second one: nested too deeply.
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


def from_snap(node, program):
    """The version of the snap that PROGRAM, a path or None, belongs to, else of MicroK8s; None without a snap."""
    snap = _SNAP.match(program or '')
    # The revision that runs may be older than the current one.
    directories = [snap.group(1) + '/' + snap.group(2), snap.group(1) + '/current'] if snap else [MICROK8S_SNAP]
    for directory in directories:
        found = re.search(r'(?m)^version:\s*["\']?v?(\d[^"\'\s]*)', node.text(directory + '/meta/snap.yaml') or '')
        if found:
            return found.group(1)
    return None


def _log_number(name):
    found = re.match(r'([0-9]{1,9})\.log$', name)
    return int(found.group(1)) if found else -1


def _pod_logs(node, pod_uid):
    """The log files of the pod of kube-proxy, or of all such pods. The container that runs now writes the one with the highest number."""
    if pod_uid:
        pods = [name for name in node.names(POD_LOGS) or [] if name.endswith('_' + pod_uid)]
    else:
        pods = [name for name in node.names(POD_LOGS) or [] if name.startswith('kube-system_kube-proxy')]
    for pod in pods[:MAXIMUM_PODS]:
        for container in [name for name in node.names('%s/%s' % (POD_LOGS, pod)) or [] if name.startswith('kube-proxy')]:
            directory = '%s/%s/%s' % (POD_LOGS, pod, container)
            logs = [name for name in node.names(directory) or [] if _log_number(name) >= 0]
            if logs:
                yield directory + '/' + max(logs, key=_log_number)


def _of_process(text, pid):
    """The lines that a process wrote, of a log to which several starts were appended.

    In a process id namespace of its own every kube-proxy is number 1: whose line that is cannot be told, and it stays.
    """
    lines = [(line, _LOG_HEAD.match(line)) for line in text.split('\n')]
    return '\n'.join(line for line, head in lines if head is None or head.group(1) in ('1', str(pid)))


def _tail(node, path, size):
    """The last SIZE bytes of a longer file as text."""
    head = to_text(node.read_head(path, size) or b'', errors='replace')
    return (node.ends(path, size) or '')[len(head) :]


def _matches(text):
    versions, modes = _LOG_VERSION.findall(text), _LOG_MODE.findall(text)
    return (versions[-1] if versions else None), (modes[-1] if modes else None)


def from_logs(node, pod_uid=None, container_id=None, of_host=False, pid=None, start_time=None):
    """(version or None, mode or None) that the last start of kube-proxy wrote into a log file.

    pod_uid, container_id: those of the pod or container, if it is one; of_host: it is a process of the host; pid: of that process,
    whose lines alone count;
    start_time: of the process, in seconds since the epoch; a log that nothing was written to since then is an older one's.
    """
    logs = [(path, True) for path in _pod_logs(node, pod_uid)]
    if container_id and not pod_uid:
        logs.append((DOCKER_LOG % (container_id, container_id), True))
    logs += [(path, False) for path in LOG_FILES if of_host or path == LOG_FILES[0]]
    for path, of_this_start in logs:
        modified, size = node.modified(path), node.size(path)
        if size is None or (start_time is not None and modified is not None and modified < start_time - SLACK_SECONDS):
            continue
        if of_this_start or pid or size <= 2 * LOG_BYTES:
            text = node.ends(path, LOG_BYTES)
        else:
            # Who wrote the beginning of a long log cannot be told.
            text = _tail(node, path, LOG_BYTES)
        # Docker writes each line as JSON.
        text = (text or '').replace('\\"', '"')
        version, mode = _matches(_of_process(text, pid) if pid else text)
        if version or mode:
            return version, mode
    return None, None


def from_binary(path, run_command):
    """The version that a host binary prints, or None. Only one that belongs to root and that nobody else can change is run."""
    real = os.path.realpath(path)
    if not os.path.isfile(real) or not is_roots_alone(real):
        return None
    code, output, dummy = run_command([real, '--version'])
    found = re.search(r'Kubernetes v(\S{1,100})', output or '')
    return found.group(1) if code == 0 and found else None
