# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where the mode of a node's kube-proxy is set, and what to change there for it to be another one. Nothing is changed here.

Which of many places decides is not guessed: every change that could be meant is tried on the text of the files alone, and the one is taken that
makes the readers of this collection see the wanted mode and, but for that, the same arguments as before.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible.module_utils.common.text.converters import to_bytes, to_native, to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import mode_in_flags, mode_in_yaml
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.editable_files import (
    FileRefusal,
    followed,
    is_of_package,
    is_on_read_only,
    permissions_of,
    text_of,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.edited_files import EditedFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_config import from_file, from_flags, parse_flags
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.line_edits import Edit
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_sources import OWN_FILES, SOURCES
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import redacted
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse

FLAG = mode_in_flags.FLAG
# Forms with a mode of their own even where nobody gives one.
BUILT_IN = ('k3s', 'rke2')
UNSUPPORTED = {
    'static_pod': 'kube-proxy runs as a static pod; whatever wrote its manifest %s owns the mode',
    'container': 'kube-proxy runs in a container without a kubelet; whatever made that container owns the mode',
    'openshift_sdn': 'kube-proxy is a part of openshift-sdn-node, whose mode the network operator sets',
    'process': 'kube-proxy was started by neither systemd nor the kubelet, so that nobody can say what starts it the next time',
    'none': 'no kube-proxy runs on this node, and none is set up',
}
_WRITES = re.compile(r'>|\b(?:cp|mv|sed|tee|install|envsubst|ln|curl|wget)\b')


class Refusal(Exception):
    """The mode cannot be changed on this node; the text is a sentence that says why."""

    def __init__(self, text):
        Exception.__init__(self, to_native(text, errors='surrogate_or_replace'))


def _apart(flags):
    """(the flags that are not of the mode, the mode that kube-proxy takes of those that are, None without any)."""
    modes = [value for name, value in flags if name == FLAG]
    return [flag for flag in flags if flag[0] != FLAG], modes[-1].strip('"\'') if modes else None


def _fits(source, edit, flags, mode):
    """Whether an edit gives kube-proxy the wanted mode and, but for that, the arguments that it has."""
    words = source.words(EditedFiles(source.node, {edit.path: to_bytes(edit.after)}))
    if words is None:
        return False
    found = parse_flags(words)
    return _apart(found) == (_apart(flags)[0], to_text(mode)) and from_flags(found)['mode'] == mode


def _by_flags(source, flags, mode):
    """The Edit that makes the flags say MODE. Raises Refusal."""
    present = ['--%s=%s' % flag for flag in flags if flag[0] == FLAG]
    groups = [source.replacements] if present else []
    if not present or source.proxy['form'] in BUILT_IN:
        groups.append(source.additions)
    for group in groups:
        for edit in group(mode):
            if _fits(source, edit, flags, mode):
                return edit
    if source.problems:
        raise Refusal('; '.join(source.problems))
    given = present[-1] if present else 'no --' + FLAG
    raise Refusal('kube-proxy gets %s from %s in a way that cannot be changed by one word of a file alone' % (given, source.shown()))


def _config_path(source, given):
    """The path of kube-proxy's configuration on this node. Raises Refusal."""
    if (source.proxy['config_read_from'] or '').startswith('/proc/'):
        raise Refusal('kube-proxy has another root directory than the node, and reads %s there' % given)
    if given.startswith('/'):
        return given
    directory = source.unit.value('Service', 'WorkingDirectory') if source.unit is not None else None
    if not (directory or '').startswith('/'):
        raise Refusal('the configuration file %s is given without its directory' % given)
    return directory.rstrip('/') + '/' + given


def _by_config(source, flags, given, mode):
    """The Edit that makes the configuration file say MODE, None if it does. Raises Refusal."""
    path = followed(source.node, _config_path(source, given))
    ignored = ['--%s=%s' % flag for flag in flags if flag[0] == FLAG]
    beside = '; %s has no effect beside --config' % ', '.join(ignored) if ignored else ''
    try:
        before = text_of(source.node, path)
        after = mode_in_yaml.edited(before, mode)[0]
    except FileRefusal as error:
        raise Refusal('%s%s' % (to_text(error), beside))
    except mode_in_yaml.ModeError as error:
        raise Refusal('%s, %s%s' % (path, to_text(error), beside))
    try:
        understood = parse(after)
    except YamlError:
        understood = None
    # Of several documents kube-proxy reads the first.
    if not isinstance(understood, dict) or understood.get('mode') != mode or from_file(understood, flags)['mode'] != mode:
        raise Refusal('%s: kube-proxy takes another part of it for its configuration than the one of the kind %s' % (path, mode_in_yaml.KIND))
    if after == before:
        return None
    if is_of_package(path):
        raise Refusal('%s belongs to a package or to the system, which would write it again' % path)
    return Edit(path, before, after, permissions_of(source.node, path))


def _check_lasting(source, edit):
    """Raise Refusal for what could not be written, or would not last."""
    if is_on_read_only(source.node, edit.path):
        raise Refusal('%s is on a file system that is mounted read-only' % edit.path)
    for entry in source.unit.values('Service', 'ExecStartPre') if source.unit is not None else []:
        if edit.path in entry['value'] and _WRITES.search(entry['value']):
            raise Refusal('%s, line %d: an ExecStartPre of %s may write %s at each start' % (entry['path'], entry['line'], source.unit.name, edit.path))


def _check_alone(proxy):
    if proxy['running'] is False:
        raise Refusal('kube-proxy does not run')
    others = [other['pid'] for other in proxy['others'] if other['network_namespace'] != 'other']
    if others:
        raise Refusal('several kube-proxies run on this node, with the process ids %s' % ', '.join(str(pid) for pid in [proxy['pid']] + others))


def _edit_of(source, mode, result):
    """The Edit to make, None if there is nothing to change. Raises Refusal."""
    words = source.words(source.node)
    if words is None:
        raise Refusal(source.why_unknown())
    flags = parse_flags(words)
    config = dict(flags).get('config')
    if config and config != 'true':
        result['kind'] = 'config_file'
        edit = _by_config(source, flags, config, mode)
        result['up_to_date'] = edit is None
        return edit
    result['up_to_date'] = _apart(flags)[1] == mode
    try:
        # Where the mode stands is told also if nothing is to be changed there.
        edit = _by_flags(source, flags, mode if not result['up_to_date'] else 'iptables' if mode != 'iptables' else 'ipvs')
    except Refusal:
        if result['up_to_date']:
            return None
        raise
    result['kind'] = source.kind_of(edit.path)
    return None if result['up_to_date'] else edit


def _decide(source, mode, result):
    """Fill in what is to be done. Raises Refusal."""
    edit = _edit_of(source, mode, result)
    if edit is None:
        return
    _check_alone(source.proxy)
    _check_lasting(source, edit)
    result['files'] = [edit.entry(whole=edit.path.rpartition('/')[2] in OWN_FILES)]
    result['where'] = [
        {'path': edit.path, 'line': line, 'text': redacted(text), 'becomes': redacted(becomes)} for line, text, becomes in edit.changes()
    ]
    result['daemon_reload'] = result['kind'] == 'unit' and source.unit is not None
    result['restart'] = source.restart()


def empty():
    """What is returned of the place of the mode where nothing is known."""
    return {'up_to_date': False, 'files': [], 'where': [], 'kind': 'unknown', 'daemon_reload': False, 'restart': None, 'refused': []}


def find_mode(node, units, proxy, mode):
    """Where the mode is set and how it becomes MODE, see the module kube_proxy_mode. proxy: as read_kube_proxy() returns it."""
    result, form = empty(), proxy['form']
    if form in SOURCES:
        try:
            _decide(SOURCES[form](node, units, proxy), mode, result)
        except (Refusal, FileRefusal) as error:
            result['refused'].append(to_text(error))
        return result
    result['kind'] = {'daemonset': 'configmap', 'static_pod': 'manifest'}.get(form, 'unknown')
    result['up_to_date'] = form is not None and form != 'none' and proxy['mode_configured'] == mode
    if form == 'daemonset' or result['up_to_date']:
        return result
    sentence = UNSUPPORTED.get(form, 'it cannot be told whether and how kube-proxy runs on this node')
    result['refused'].append(sentence % (proxy['manifest_path'] or 'on this node') if '%s' in sentence else sentence)
    return result
