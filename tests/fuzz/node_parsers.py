# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers that run on nodes, each as a function of one input that gives what JSON can hold.

Python 2.7 and 3.6 run this file too: they must give the same. A text is what NodeFiles.text() makes of a file's bytes, a tree is
{path: content} in which a lone surrogate U+DC80 to U+DCFF stands for a byte that is not UTF-8 and "-> " begins a link.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import itertools
import json
import os
import shutil
import socket
import tempfile

from ansible.module_utils.common.text.converters import to_bytes, to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import (
    counters,
    cron_writers,
    hold,
    http_get,
    ip_addresses,
    iptables_rules,
    ipvs_netlink,
    ipvs_table,
    kernel,
    kube_proxy,
    kube_proxy_config,
    kube_proxy_version,
    managed_hold,
    mode_in_flags,
    mode_in_rancher,
    mode_in_yaml,
    mode_place,
    neighbours,
    netlink,
    pressure,
    probe_conntrack,
    processes,
    recorded_lines,
    redaction,
    shell_actions,
    shell_text,
    shell_words,
    sysctl,
    sysctl_files,
    systemd_units,
    unit_writers,
    writers,
    yaml_subset,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.editable_files import FileRefusal
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.line_edits import Edit, changed_lines
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.record_store import RecordStore
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_changes import RecordedChanges
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_paths import Refusal
from ansible_collections.kubeproxy.ipvs.plugins.modules.ipvs_facts import collect

LINK = '-> '
SECRET = 'hunter2Correct9Horse'


class Broken(Exception):
    """A parser gave an answer that it must not give. The text says which."""


def claim(holds, what):
    """Raise Broken unless something HOLDS."""
    if not holds:
        raise Broken(what)


# What a whole node is read from.


def _write(root, path, content):
    steps = [step for step in path.split('/') if step]
    if not steps or any(step in ('.', '..') or '\0' in step or len(as_bytes(step)) > 200 for step in steps) or len(steps) > 20:
        return
    place = os.path.join(root, *[as_bytes(step) for step in steps])
    # Nothing is written through a link: it may lead to a file of this machine.
    if not os.path.realpath(os.path.dirname(place)).startswith(root):
        return
    try:
        if not os.path.isdir(os.path.dirname(place)):
            os.makedirs(os.path.dirname(place))
        if content.startswith(LINK):
            os.symlink(as_bytes(content[len(LINK):].replace('\0', '')), place)
        elif not os.path.islink(place):
            with open(place, 'wb') as handle:
                handle.write(as_bytes(content))
    except (IOError, OSError):
        # A file where a directory is wanted, and the like.
        return


def as_bytes(content):
    """The bytes that a text with lone surrogates stands for."""
    pieces, plain = [], []
    for character in content:
        if 0xDC80 <= ord(character) <= 0xDCFF:
            pieces += [to_bytes(''.join(plain), errors='replace'), bytearray([ord(character) - 0xDC00])]
            plain = []
        else:
            plain.append(character if not 0xD800 <= ord(character) <= 0xDFFF else '?')
    return b''.join(bytes(piece) for piece in pieces + [to_bytes(''.join(plain))])


class Tree(object):
    """The files of a node, written below a directory of their own for the time of a `with`."""

    def __init__(self, files):
        self._files = files

    def __enter__(self):
        directory = '/dev/shm' if os.access('/dev/shm', os.W_OK) else None
        self._root = os.path.realpath(tempfile.mkdtemp(dir=directory))
        for wanted in (False, True):
            for path in sorted(self._files):
                content = self._files[path]
                if hasattr(content, 'strip') and content.startswith(LINK) == wanted:
                    _write(to_bytes(self._root), path, content)
        return NodeFiles(self._root)

    def __exit__(self, *dummy):
        shutil.rmtree(self._root, ignore_errors=True)


def facts(files):
    """All facts of a node. A part that nobody understood is a fault here, though on a node it is only reported."""
    with Tree(files) as node:
        found = collect(node, ['changelog'])
        for entry in found['unreadable']:
            claim('/' in entry['path'] or not entry['reason'].startswith('not understood'), '%s: %s' % (entry['path'], entry['reason']))
        found['root'] = '/'
        # The time at which the tree was written.
        found['kube_proxy']['config_modified'] = None
        found['kube_proxy'].pop('neighbours', None)
        return found


def mode_of_node(files):
    """Where the mode is set, and how it becomes another."""
    with Tree(files) as node:
        units = systemd_units.Units(node)
        proxy = kube_proxy.read_kube_proxy(node, units, False)
        answers = []
        for mode in ('iptables', 'nftables', 'ipvs'):
            answer = mode_place.find_mode(node, units, proxy, mode)
            claim(not (answer['files'] and answer['refused']), 'files are to be changed though it is refused')
            answers.append(answer)
        return [answers, neighbours.read_neighbours(node)]


def tables(files):
    """What is read from /proc/net, /proc/sys and /proc."""
    with Tree(files) as node:
        return [
            ipvs_table.read_table(node, ['10.0.0.0/8', 'fd00::/8']),
            counters.read_counters(node),
            pressure.read_pressure(node),
            sysctl.read_sysctl(node),
            ip_addresses.node_addresses(node),
            kernel.read_kernel(node, ['changelog']),
            len(processes.read_processes(node)),
        ]


def writers_of_node(files):
    """Everything on a node that sets the value, or keeps it."""
    with Tree(files) as node:
        units = systemd_units.Units(node)
        proxy = kube_proxy.empty()
        found = writers.read_writers(node, kernel.read_kernel(node), units, proxy)
        managed = managed_hold.read_managed(node)
        return [found, managed, hold.read_hold(node, proxy, found, managed)]


# Files, each as one text.


def yaml(text):
    """YAML of Kubernetes' own files."""
    return yaml_subset.parse_documents(text)


def kube_proxy_configuration(text):
    """A configuration file of kube-proxy, and flags beside it."""
    config = yaml_subset.parse(text)
    return kube_proxy_config.from_file(config if isinstance(config, dict) else {}, [('v', '2'), ('proxy-mode', 'ipvs')])


def mode_in_configuration(text):
    """The same text with another mode."""
    before = mode_in_yaml.mode_in(text)
    for mode in ('iptables', 'nftables'):
        new, changes = mode_in_yaml.edited(text, mode)
        claim(mode_in_yaml.mode_in(new) == mode, 'the mode is not the one that was written')
        claim(mode_in_yaml.edited(new, mode) == (new, []), 'a second edit changes something')
        claim((new == text) == (not changes), 'what changed is not what is told')
        lines = changed_lines(text, new)
        claim(len(lines) <= 2, 'more than one line and its end changed')
        claim(Edit('/f', text, new).entry()['path'] == '/f', 'an entry of another file')
    return before


def command_line(text):
    """The arguments of a process, one a line."""
    words = text.split('\n')
    flags = kube_proxy_config.parse_flags(words)
    shown = redaction.redacted_words(words)
    claim(len(shown) == len(words), 'words are lost')
    claim(SECRET not in ' '.join(redaction.redacted_words(['--token', SECRET] + words)), 'a secret is shown')
    claim(SECRET not in ' '.join(redaction.redacted_words(words + ['--token=' + SECRET])), 'a secret is shown')
    return [
        flags,
        kube_proxy_config.from_flags(flags),
        shown,
        mode_in_rancher.rke2_arguments({}, words),
        mode_in_rancher.config_path_of(words, None, '/d'),
        [processes.use_of(word, words) for word in words[:2]],
        [kube_proxy_version.from_image(word) for word in words],
    ]


def one_line(text):
    """Texts of one line: addresses, numbers, times, versions, endpoints, images."""
    fields = (text.split() + ['*'] * 5)[:5]
    span = systemd_units.seconds_of(text)
    claim(span is None or 0 <= span < 1e16, 'a time span of %r seconds' % span)
    return [
        ip_addresses.parse_endpoint(text),
        '10.1.2.3' in ip_addresses.Networks([text]),
        kube_proxy_config.split_address(text, 1),
        kube_proxy_version.from_image(text),
        kube_proxy_version.build_info(to_bytes(text)),
        mode_in_rancher.appends(text),
        sysctl_files.number_of(text),
        sysctl_files.normal_key(text),
        None if span is None else int(span),
        systemd_units._calendar_period(text),
        cron_writers.period_of(fields),
        processes.cgroup_path(text),
    ]


def sysctl_file(text):
    """A file of sysctl.d."""
    found = sysctl_files.parse(text, '/etc/sysctl.d/1.conf')
    word = sysctl_files.last_word(found)
    for entry in found:
        claim(text.split('\n')[entry.line - 1].strip()[:200] == entry.text, 'another line than it says')
    return [[[entry.line, entry.text, entry.value, entry.explicit, entry.excludes] for entry in found], word.line if word else None]


def unit_file(text):
    """A unit or a drop-in."""
    entries = systemd_units.parse_unit(text, '/u')
    return [entries, [systemd_units.split_command(value) for dummy, key, value, dummy, dummy in entries if key.startswith('Exec')]]


def shell_script(text):
    """A shell script, or an Exec line."""
    script = mode_in_flags.read_script(text)
    return [
        [[action.kind, action.line, action.text, action.value, action.argument] for action in shell_actions.read_actions(text)],
        shell_text.waits(text),
        shell_text.loop_seconds(text),
        shell_text.loop_seconds(text, 3),
        [script.arguments, script.problem, script.line],
        shell_words.logical_lines(text),
        unit_writers._inline(systemd_units.split_command(text)),
    ]


def flags_in_text(text):
    """An environment file, an argument file or a unit with a flag changed or added."""
    names = mode_in_flags.variables_of_mode(text)
    offered = [
        mode_in_flags.flags_replaced(text, 'nftables'),
        mode_in_flags.variables_replaced(text, names, 'nftables'),
        mode_in_rancher.arguments_replaced(text, 'nftables'),
        mode_in_flags.variables_extended(text, text[:200], 'nftables'),
        mode_in_flags.arguments_extended(text, 'nftables'),
    ]
    # Whoever asks takes the first that does.
    changed = [new for texts in offered for new in itertools.islice(texts, 5)]
    changed += mode_in_flags.command_extended(text, text.count('\n') // 2 + 1, 'nftables')
    for new in changed:
        claim('nftables' in new, 'the mode is not in it')
        before, after = to_bytes(text), to_bytes(new)
        entry = Edit('/f', text, new).entry()
        if 'lines' in entry:
            asked = [[line['line'], [line['replacement']]] for line in entry['lines']]
            claim(recorded_lines.replaced(before, asked) == after, 'the lines do not give the file')
            claim(recorded_lines.put_back(after, before, asked)[0] == before, 'the lines do not come back')
        else:
            claim(to_bytes(entry['content']) == after, 'the content is not the file')
    return changed


def lines_of_file(text):
    """A file, and behind the mark the lines of it that give way to others."""
    content, dummy, rest = text.partition('\n=====\n')
    # As the module takes them: lines without their ends.
    rest = rest.replace('\r', '')
    lines = [[line.partition('=>')[0], line.partition('=>')[2].split('|') if '=>' in line else []] for line in rest.split('\n') if line]
    before = to_bytes(content)
    after = recorded_lines.replaced(before, lines)
    back, restored, lost = recorded_lines.put_back(after, before, lines)
    claim(back == before, 'the file does not come back byte for byte')
    claim(lost == 0, 'a line is lost')
    later = after + b'# added later\n'
    back = recorded_lines.put_back(later, before, lines)[0]
    claim(back.endswith(b'# added later\n'), 'what others wrote is lost')
    return [to_text(after, errors='replace'), restored, lost]


def text_with_secrets(text):
    """A line that may hold secrets. What is planted behind it must not be seen."""
    shown = redaction.redacted(text)
    line = text.replace('\n', ' ').rstrip('"\'`\\$=:,;|&')
    if not any(character in line for character in '"\'`$\\'):
        for form in ('%s --token=%s', '%s PASSWORD=%s', '%s --client-secret %s', '%s https://user:%s@host/', '%s Authorization: Bearer %s'):
            claim(SECRET not in redaction.redacted(form % (line, SECRET)), 'a secret is shown: ' + form)
    claim(redaction.redacted(shown) == shown or '[redacted]' in shown, 'a second time gives something else')
    return shown


OWNED = [
    {'table': 'nat', 'prefix': 'KUBE-', 'jumps': [{'chain': 'PREROUTING', 'comment': 'kubernetes service portals'}, {'chain': 'OUTPUT'}]},
    {'table': 'filter', 'name': 'KUBE-FIREWALL', 'jumps': [{'chain': 'INPUT'}]},
]


def iptables_save(text):
    """What iptables-save prints."""
    lines, found = text.split('\n'), []
    for table in ('nat', 'filter'):
        owned = iptables_rules.OwnedChains(OWNED)
        removal = iptables_rules.removal(table, [line + '\n' for line in lines], owned)
        told = removal.text()
        for line in told.split('\n'):
            claim(not line or line.startswith(('*', ':KUBE-', '-D ', '-X KUBE-', 'COMMIT')) or '"' in told, 'a line that was not asked for: %r' % line)
        found.append([told, sorted(removal.kept.items()), iptables_rules.has_chain(table, lines, OWNED)])
    return found


def messages_of_kernel(data):
    """Bytes that arrive on a netlink socket."""
    found = []
    for kind, flags, sequence, payload in netlink.messages(data):
        service = ipvs_netlink.decode_service(payload)
        found.append([kind, flags, sequence, len(payload), sorted(netlink.attributes(payload))])
        if service is not None:
            found.append([service.family, ipvs_netlink.protocol_name(service), service.address, service.port, service.fwmark, netlink.text(payload)])
            ipvs_netlink.encode_service(service)
    return found


def connection_lists(text):
    """/proc/net/ip_vs_conn and nf_conntrack as the probe reads them."""
    return [sorted(probe_conntrack.ipvs_states(text).items()), sorted(probe_conntrack.conntrack_states(text).items())]


def http_answer(data):
    """What somebody answers on a port of kube-proxy."""
    limit, longest = 1000, 64 * 1024
    ours, theirs = socket.socketpair()
    try:
        theirs.sendall(data[:longest])
        theirs.close()
        answer = http_get._Answer()
        http_get._receive(ours, answer, clock() + 60, limit, lambda body: b'enough' in body)
    finally:
        ours.close()
    status = answer.status
    claim(status is None or 0 <= status <= 999, 'a status of %r' % status)
    claim(answer.is_complete or status is None, 'a status without a head')
    return [status, to_text(bytes(answer.data[:limit]), errors='replace') if answer.is_complete else None]


def _below(root, value):
    """VALUE with every absolute path in it moved below ROOT."""
    if isinstance(value, dict):
        return dict((key, _below(root, value[key])) for key in value)
    if isinstance(value, list):
        return [_below(root, each) for each in value]
    return root + os.path.normpath(value) if hasattr(value, 'startswith') and value.startswith('/') else value


def saved_record(kept):
    """The record of what was changed on a node, as another run finds it: kept once more, and what would be put back. Nothing is written by it."""
    root = os.path.realpath(tempfile.mkdtemp(dir='/dev/shm' if os.access('/dev/shm', os.W_OK) else None))
    try:
        for name, content in (('found.json', _below(root, kept)), ('other.json', kept)):
            with open(os.path.join(root, name), 'wb') as handle:
                handle.write(to_bytes(json.dumps(content)))
            os.chmod(os.path.join(root, name), 0o600)
        store, again = RecordStore(root, 'found'), RecordStore(root, 'again')
        record = store.read()
        again.write(record)
        claim(again.read() == record, 'another record than was kept')
        claim(set(again.others().values()) <= set(['found', 'other']), 'a record that is none')
        os.remove(again.path)
        run = RecordedChanges(root, 'found', check_mode=True)
        run.restore()
        claim(store.read() == record, 'check mode changes the record')
        result = run.result()
        return [len(result['files']), len(result['kernel_values']), len(result['not_restored']), result['changed']]
    except Refusal as error:
        # The folder is another one each time.
        return to_text(error).replace(root, '')
    finally:
        shutil.rmtree(root, ignore_errors=True)


# name: (function, what it takes, the exceptions that it may raise by contract)
NODE_PARSERS = {
    'facts': (facts, 'json', ()),
    'mode_of_node': (mode_of_node, 'json', (FileRefusal,)),
    'tables': (tables, 'json', ()),
    'writers': (writers_of_node, 'json', ()),
    'yaml': (yaml, 'text', (yaml_subset.YamlError,)),
    'kube_proxy_configuration': (kube_proxy_configuration, 'text', (yaml_subset.YamlError,)),
    'mode_in_configuration': (mode_in_configuration, 'text', (mode_in_yaml.ModeError,)),
    'command_line': (command_line, 'text', ()),
    'one_line': (one_line, 'text', ()),
    'sysctl_file': (sysctl_file, 'text', ()),
    'unit_file': (unit_file, 'text', ()),
    'shell_script': (shell_script, 'text', ()),
    'flags_in_text': (flags_in_text, 'text', ()),
    'lines_of_file': (lines_of_file, 'text', ()),
    'text_with_secrets': (text_with_secrets, 'text', ()),
    'iptables_save': (iptables_save, 'text', ()),
    'messages_of_kernel': (messages_of_kernel, 'bytes', (netlink.NetlinkError,)),
    'connection_lists': (connection_lists, 'text', ()),
    'http_answer': (http_answer, 'bytes', ()),
    'saved_record': (saved_record, 'json', ()),
}
