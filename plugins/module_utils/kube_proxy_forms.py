# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the arguments of kube-proxy stand in each form that it is deployed in."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.processes import HYPERKUBE_WORDS, K3S_WITH_KUBE_PROXY, KUBE_PROXY
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import split_command

RANCHER_DIRECTORY = '/etc/rancher'
K3S_CONFIG, RKE2_CONFIG = '/etc/rancher/k3s/config.yaml', '/etc/rancher/rke2/config.yaml'
# What k3s and RKE2 give kube-proxy themselves (k3s-io/k3s pkg/daemons/agent).
RANCHER_FLAGS = ('--proxy-mode=iptables', '--healthz-bind-address=127.0.0.1')
CHARMED_UNIT, CHARMED_ARGUMENTS = 'snap.kube-proxy.daemon.service', '/var/snap/kube-proxy/current/args'
MICROK8S_ARGUMENTS = '/var/snap/microk8s/current/args/kube-proxy'
MANIFEST_DIRECTORIES = ('/etc/kubernetes/manifests', '/var/lib/rancher/rke2/agent/pod-manifests', '/var/lib/rancher/k3s/agent/pod-manifests', '/etc/kubelet.d')
KUBELET_ROOTS = ('/var/lib/kubelet', '/var/lib/k0s/kubelet', '/var/snap/microk8s/common/var/lib/kubelet')
KUBELET_CONFIGS = ('/var/lib/kubelet/config.yaml', '/etc/kubernetes/kubelet-config.yaml', '/var/lib/kubelet/kubelet-config.yaml')
SHELLS = ('sh', 'bash', 'dash', 'ash', 'ksh', 'zsh')
# Programs that run the command which their arguments name.
WRAPPERS = (
    'go-runner',
    'env',
    'nice',
    'ionice',
    'chrt',
    'taskset',
    'numactl',
    'setpriv',
    'prlimit',
    'nohup',
    'stdbuf',
    'timeout',
    'nsenter',
    'unshare',
    'chroot',
    'cgexec',
    'systemd-cat',
    'tini',
    'dumb-init',
    'catatonit',
    'exec',
)
SCRIPTS = ('entrypoint.sh', 'entrypoint')
CONTAINER_ENGINES = ('docker', 'podman', 'nerdctl', 'rkt', 'ctr')
# Programs that deal with a running kube-proxy: its name is their argument.
HANDLERS = frozenset(('pkill', 'pgrep', 'killall', 'pidof', 'systemctl', 'service', 'kubectl', 'crictl'))
CCE_FLAGS = '/opt/cloud/cce/kubernetes/kube-proxy/kube-proxy'


class Arguments(object):
    """The arguments of kube-proxy that stand in files.

    words: list of text, None if they cannot be known; path: the file in which they stand, or None; mode_source: of docs/facts.md, what
    sets the mode, None for the flags themselves; disabled: kube-proxy is switched off there.
    """

    def __init__(self, words, path=None, mode_source=None, disabled=False):
        self.words, self.path, self.mode_source, self.disabled = words, path, mode_source, disabled


def is_unreadable(node, path):
    """Whether a file that gave no text is there all the same."""
    return node.kind(path) is not None or any(entry['path'] == path for entry in node.unreadable)


def read_yaml(node, path):
    """The first document of a file as a map: {} if the file is absent, None if it is unreadable or not understood."""
    text = node.text(path)
    if text is None:
        return None if is_unreadable(node, path) else {}
    # Each node pays for what it compiles, and only those with such files need this.
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse

    try:
        document = parse(text)
    except YamlError as error:
        node.report(path, 'not understood: %s' % error)
        return None
    return document if isinstance(document, dict) else {}


def _simple_commands(text):
    """The words of each command in shell text, without `exec` and assignments before it."""
    text = re.sub(r'\d?>&\d', ' ', text.replace('\\\n', ' ').replace('\n', ' ; '))
    words = []
    for word in split_command(re.sub(r'(&&|\|\||[;|]|&(?!>))', r' \1 ', text)) + [';']:
        if word in (';', '&&', '||', '|', '&'):
            if words:
                yield words
            words = []
        elif words or not (word == 'exec' or re.match(r'^\w+=', word)):
            words.append(word)


def after_program(words):
    """The arguments of kube-proxy in a command that starts it, itself or behind hyperkube, a shell or a wrapper; None for any other command."""
    base = os.path.basename(words[0]) if words else ''
    if base == KUBE_PROXY:
        return _without_redirections(words[1:])
    if base == 'hyperkube':
        rest = words[1:]
        while rest and rest[0].startswith('-'):
            rest = rest[1:]
        return _without_redirections(rest[1:]) if rest and rest[0] in HYPERKUBE_WORDS else None
    if base in SHELLS:
        for position, word in enumerate(words[1:-1], 1):
            if re.match(r'^-[a-z]*c$', word):
                found = [after_program(command) for command in _simple_commands(words[position + 1])]
                return ([arguments for arguments in found if arguments is not None] or [None])[-1]
    if base in SHELLS or base in WRAPPERS or base.endswith(SCRIPTS) or (base in CONTAINER_ENGINES and 'run' in words):
        starts = [
            position for position, word in enumerate(words) if position and os.path.basename(word) in (KUBE_PROXY, 'hyperkube') and not word.startswith('-')
        ]
        # The name of a container can be kube-proxy too: what it runs stands behind it.
        for position in reversed(starts):
            found = after_program(words[position:])
            if found is not None and HANDLERS.isdisjoint(os.path.basename(word) for word in words[:position]):
                return found
    return None


def _without_redirections(words):
    kept, position = [], 0
    while position < len(words):
        redirected = re.match(r'^(?:\d|&)?(?:>>?|<)(.*)$', words[position])
        position += 2 if redirected and not redirected.group(1) else 1
        if not redirected:
            kept.append(words[position - 1])
    return kept


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
        for name, value in re.findall(r'(?m)^[ \t]*(?:export[ \t]+)?(\w+)=("[^"]*"|\'[^\']*\'|.*)', text):
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


def vendor_arguments(node, unit):
    """The Arguments of units that do not name them: a snap's wrapper and CCE read them from a file of their own. None for other units."""
    if unit.name == CHARMED_UNIT:
        return snap_arguments(node, CHARMED_ARGUMENTS)
    text = node.text(CCE_FLAGS)
    return None if text is None else Arguments(re.findall(r'--[^\s"\']+', text), CCE_FLAGS, 'argument_file')


def starts_kube_proxy(words):
    """Whether a command starts kube-proxy."""
    return after_program(words) is not None


def starts_k3s(words):
    """Whether a command starts a k3s that runs kube-proxy."""
    return len(words) > 1 and os.path.basename(words[0]) == 'k3s' and words[1] in K3S_WITH_KUBE_PROXY


def find_unit_of(units, names, program_test):
    """The unit whose ExecStart passes PROGRAM_TEST, a function of its words, or None. Of several the one that is enabled.

    names: of the programs, one of which stands in the line; most units are passed over by that alone.
    """
    found = []
    for name in units.names():
        unit = units.find(name)
        if unit is None or unit.masked:
            continue
        lines = [entry['value'] for entry in unit.values('Service', 'ExecStart')]
        if any(program in line and program_test(split_command(line)) for line in lines for program in names):
            found.append(unit)
    return sorted(found, key=lambda unit: (not unit.enabled, unit.name))[0] if found else None


# --- k3s and RKE2 -----------------------------------------------------------------------------------------------------


def rancher_settings(node, path):
    """A Rancher config.yaml and its directory as one map: a later file replaces a key, `key+` adds to it. None if one cannot be read."""
    found = {}
    names = node.names(path + '.d')
    for source in [path] + [path + '.d/' + name for name in names or [] if name.endswith(('.yaml', '.yml'))]:
        document = read_yaml(node, source)
        if document is None or names is None:
            return None
        for key, value in document.items():
            if hasattr(key, 'endswith') and key.endswith('+'):
                found[key[:-1]] = _listed(found.get(key[:-1])) + _listed(value)
            else:
                found[key] = value
    return found


def _listed(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def _is_true(value):
    return to_text(value).lower() in ('true', '1', 't')


def _rancher_command(words):
    """(kube-proxy-arg of a command line, {other flag: its last value})."""
    arguments, flags = [], {}
    for position, word in enumerate(words):
        name, separator, value = word.partition('=')
        if name in ('--kube-proxy-arg', '--config', '-c') and not separator:
            value = words[position + 1] if position + 1 < len(words) else ''
        if name == '--kube-proxy-arg':
            arguments.append(value)
        elif name.startswith('-'):
            flags[{'-c': 'config'}.get(name, name.lstrip('-'))] = value if separator or value else 'true'
    return arguments, flags


def _openrc_command(node):
    """The words with which OpenRC starts k3s, [] without OpenRC."""
    for name in node.names('/etc/init.d') or []:
        if not name.startswith('k3s'):
            continue
        found = re.search(r'command_args="((?:[^"\\]|\\.|\\\n)*)"', node.text('/etc/init.d/' + name) or '')
        if found:
            return ['k3s'] + split_command(found.group(1).replace('\\\n', ' ').partition('>>')[0])
    return []


def k3s_arguments(node, unit):
    """The Arguments that k3s gives kube-proxy. /proc does not show them: k3s writes its title over them."""
    given, flags = _rancher_command(command_of(node, unit) if unit else _openrc_command(node))
    config = flags.get('config') or (environment_of(node, unit).get('K3S_CONFIG_FILE') if unit else None) or K3S_CONFIG
    settings = rancher_settings(node, config)
    if not node.live and not any(node.kind(directory) for directory in (RANCHER_DIRECTORY, config.rpartition('/')[0])):
        # What was not collected may say anything.
        settings = None
    shown = config if node.kind(config) or node.kind(config + '.d') else None
    if settings is None:
        return Arguments(None, shown)
    listed = [_flag(argument) for argument in _listed(settings.get('kube-proxy-arg')) if argument]
    given = [_flag(argument) for argument in given if argument]
    named = set(argument.partition('=')[0] for argument in listed + given)
    built_in = [flag for flag in RANCHER_FLAGS if flag.partition('=')[0] not in named]
    mode_source = 'default'
    for arguments, source in ((listed, 'argument_file'), (given, 'flag')):
        if any(argument.startswith('--proxy-mode=') for argument in arguments):
            mode_source = source
    disabled = any(_is_true(flags.get(key, settings.get(key, False))) for key in ('disable-kube-proxy', 'disable-agent'))
    return Arguments(built_in + listed + given, shown, mode_source, disabled)


def _flag(argument):
    """`proxy-mode=ipvs` as a flag. += and -= add to a list; kube-proxy gets the value alone."""
    return '--' + re.sub(r'^([\w-]+?)[+-]=', r'\1=', to_text(argument).lstrip('-'))


# --- MicroK8s ---------------------------------------------------------------------------------------------------------


def snap_arguments(node, path):
    """The Arguments in a file of a snap: quotes dropped, divided at blanks."""
    text = node.text(path)
    if text is None:
        return Arguments(None, path if is_unreadable(node, path) else None)
    data = path.rpartition('/args')[0]
    words = []
    for line in text.split('\n'):
        if not line.lstrip().startswith('#'):
            words.extend(line.replace('"', '').replace("'", '').split())
    return Arguments([re.sub(r'\$(?:SNAP_DATA\b|\{SNAP_DATA\})', lambda match: data, word) for word in words], path, 'argument_file')


def microk8s_arguments(node, argv):
    """The Arguments of the kube-proxy inside kubelite."""
    path = MICROK8S_ARGUMENTS
    for position, word in enumerate(argv):
        if word == '--proxy-args-file' and position + 1 < len(argv):
            path = argv[position + 1]
        elif word.startswith('--proxy-args-file='):
            path = word.partition('=')[2]
    found = snap_arguments(node, path)
    return found if found.words is not None or path == MICROK8S_ARGUMENTS else snap_arguments(node, MICROK8S_ARGUMENTS)


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
    return [to_text(word) for word in value] if isinstance(value, list) else []


def _manifest_directories(node):
    directories = list(MANIFEST_DIRECTORIES)
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
    """The Manifest of kube-proxy in the text of a file, or None."""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse_documents

    try:
        documents = parse_documents(text)
    except YamlError as error:
        if KUBE_PROXY in name:
            node.report(path, 'not understood: %s' % error)
        return None
    found = [_manifest_in(document, path) for document in documents]
    return next((manifest for manifest in found if manifest is not None), None)


def find_manifest(node):
    """The Manifest of kube-proxy on this node, or None."""
    for directory in _manifest_directories(node):
        names = [name for name in node.names(directory) or [] if not name.startswith('.') and not name.endswith('~')]
        for name in sorted(names, key=lambda name: (KUBE_PROXY not in name, name)):
            path = directory + '/' + name
            text = node.text(path) or ''
            if KUBE_PROXY not in text and 'hyperkube' not in text:
                continue
            found = _manifest_of(node, path, name, text)
            if found is not None:
                return found
    return None


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
