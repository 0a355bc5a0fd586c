# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The kernel of a node: its names, ip_vs, and what can be seen of its capabilities without trying them."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os
import re
import zlib

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.config_directories import merged_files
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_actions import MODPROBE, read_actions

# More than any line of the kernel's list of symbols has.
LINE_BYTES = 4096
# Names that only kernels with, or only kernels without, a certain fix have (Linux net/netfilter/ipvs).
EVIDENCE_SYMBOLS = (
    'ip_vs_expire_nodest_conn_flush',
    'expire_nodest_conn_handler',
    'ip_vs_conn_uses_old_conntrack',
    'ip_vs_conn_uses_conntrack',
)
# Titles of the commits f0a5e4d7a594, c95c07836fa4 and 04231e52d355, as far as changelogs quote them.
CHANGELOG_TITLES = (
    ('reuse_without_drop', 'allow connection reuse for unconfirmed conntrack'),
    ('respects_zero_weight', 'fix reuse connection if rs weight is 0'),
    ('flushes_deleted', 'queue delayed work to expire no destination connections'),
)
# A step in which the damage stands is lost as a whole.
INFLATE_STEP = 1024
MODULES_LOAD_DIRECTORIES = ('/etc/modules-load.d', '/run/modules-load.d', '/usr/local/lib/modules-load.d', '/usr/lib/modules-load.d', '/lib/modules-load.d')
MACHINES = re.compile(r'(?:^|[\W_])(x86_64|aarch64|ppc64le|s390x|i686|armv7l|riscv64|loongarch64)(?![^\W_])')
CHANGELOG_LIMIT = 64 * 1024 * 1024
# Every ip_vs module needs ip_vs itself.
IP_VS_MODULE = re.compile(r'^ip_vs(?:_\w+)?$')


def _uname_line(node):
    """The words of `uname -a` as sosreport keeps them, or None."""
    text = node.text('/sos_commands/kernel/uname_-a') or node.text('/uname')
    return text.split('\n')[0] if text else None


def _release(node):
    release = node.first_line('/proc/sys/kernel/osrelease')
    if release:
        return release
    if node.live:
        return os.uname()[2]
    for text in (node.first_line('/proc/version'), _uname_line(node)):
        found = re.match(r'Linux (?:version )?(\S+)(?: (\S+))?', text or '')
        if found:
            # uname -a has the host name in between.
            return found.group(1) if text.startswith('Linux version') else found.group(2)
    return None


def _version(node):
    version = node.first_line('/proc/sys/kernel/version')
    if version:
        return version
    if node.live:
        return os.uname()[3]
    for text in (node.first_line('/proc/version'), _uname_line(node)):
        found = re.search(r'(#\d+\S* .*)$', text or '')
        if found:
            return found.group(1)
    return None


def _machine(node, release):
    if node.live:
        return os.uname()[4]
    machine = node.first_line('/proc/sys/kernel/arch')
    if machine:
        return machine
    # The host name comes before, and may hold anything.
    found = re.findall(MACHINES, (_uname_line(node) or '').partition('#')[2]) or re.findall(MACHINES, release or '')
    return found[-1] if found else None


def _unquote(value):
    """The value of a line in os-release(5)."""
    value = value.strip()
    if len(value) >= 2 and value[0] == value[-1] and value[0] in '"\'':
        value = value[1:-1]
    return re.sub(r'\\(.)', r'\1', value)


def _os_release(node):
    fields = {}
    for path in ('/etc/os-release', '/usr/lib/os-release'):
        text = node.text(path)
        if text:
            for line in text.split('\n'):
                key, separator, value = line.strip().partition('=')
                if separator and not key.startswith('#'):
                    fields[key] = _unquote(value)
            break
    name = fields.get('PRETTY_NAME') or fields.get('NAME')
    if not fields:
        # RHEL 6 and its rebuilds have no os-release.
        name = node.first_line('/etc/redhat-release') or node.first_line('/etc/system-release')
    return {'id': fields.get('ID') or None, 'version_id': fields.get('VERSION_ID') or None, 'name': name or None, 'id_like': fields.get('ID_LIKE') or None}


def _is_plain_name(release):
    return bool(re.match(r'[A-Za-z0-9_][A-Za-z0-9._+~:@-]{0,200}$', release or ''))


def _loaded_modules(node):
    """The names of the loaded modules, or None if they cannot be known."""
    text = node.text('/proc/modules')
    if text is None:
        text = node.text('/sos_commands/kernel/lsmod') or node.text('/lsmod')
    if text is None:
        return None
    return set(line.split(None, 1)[0] for line in text.split('\n') if line.strip())


def _ip_vs(node, release):
    modules = _loaded_modules(node)
    if modules and 'ip_vs' in modules:
        return 'loaded'
    builtin = _is_plain_name(release) and node.text('/lib/modules/%s/modules.builtin' % release)
    if builtin and re.search(r'/ip_vs\.ko', builtin):
        return 'builtin'
    if any(node.kind(path) for path in ('/sys/module/ip_vs', '/proc/sys/net/ipv4/vs', '/proc/net/ip_vs')):
        # Without a line in /proc/modules it is part of the kernel; without /proc/modules nobody can tell.
        return 'loaded' if modules is None else 'builtin'
    if node.kind('/proc/sys/net') is None and modules is None:
        return None
    return 'absent'


def _module_available(node, release):
    if not _is_plain_name(release):
        return None
    directory = '/lib/modules/%s' % release
    listed = node.text(directory + '/modules.dep', limit=8 * 1024 * 1024)
    if listed is not None:
        return bool(re.search(r'/ip_vs\.ko', listed))
    names = node.names(directory + '/kernel/net/netfilter/ipvs')
    if names:
        return any(name.startswith('ip_vs.ko') for name in names)
    return False if node.kind(directory + '/kernel/net') == 'directory' else None


def _named_in(line):
    return bool(IP_VS_MODULE.match(line.strip().replace('-', '_')))


def _loaded_at_boot(node):
    """What makes sure that ip_vs is there before systemd-sysctl runs: [{path, line}]."""
    found = []
    paths = [path for path, masked_by in merged_files(node, MODULES_LOAD_DIRECTORIES) if not masked_by]
    # Debian's and Alpine's; systemd comes to it through a link in modules-load.d.
    if not any(node.kind(path) for path in ('/etc/redhat-release', '/etc/SuSE-release')) and node.identity('/etc/modules') not in map(node.identity, paths):
        paths.append('/etc/modules')
    for path in paths:
        for number, line in enumerate((node.text(path) or '').split('\n'), 1):
            if not line.lstrip().startswith(('#', ';')) and line.split() and _named_in(line.split()[0]):
                found.append({'path': path, 'line': number})
                break
    # RHEL 6 and guides that go on using its directory.
    for name in node.names('/etc/sysconfig/modules') or []:
        path = '/etc/sysconfig/modules/' + name
        if name.endswith('.modules') and node.executable(path):
            loads = [action for action in read_actions(node.text(path) or '') if action.kind == MODPROBE]
            found.extend({'path': path, 'line': action.line} for action in loads[:1])
    for word in (node.text('/proc/cmdline') or '').split():
        key, separator, value = word.partition('=')
        if separator and key in ('modules-load', 'modules_load', 'rd.modules-load', 'rd.modules_load') and any(_named_in(name) for name in value.split(',')):
            found.append({'path': '/proc/cmdline', 'line': 1})
    return found


def _symbols(node):
    """Those of EVIDENCE_SYMBOLS that the running kernel has, or None if its list cannot be read."""
    wanted = [(name, re.compile(b'[ \t]' + name.encode('ascii') + b'[ \t\r\n]')) for name in EVIDENCE_SYMBOLS]
    found, rest, read = set(), b'', False
    for chunk in node.chunks('/proc/kallsyms'):
        read = True
        chunk = rest + chunk
        # `in` is several times faster than the expression, which then only confirms.
        found.update(name for name, expression in wanted if name.encode('ascii') in chunk and expression.search(chunk))
        # No line is that long: a file without ends of lines must not be searched again with each chunk.
        rest = chunk[chunk.rfind(b'\n') + 1 :][-LINE_BYTES:]
    found.update(name for name, expression in wanted if expression.search(rest + b'\n'))
    return sorted(found) if read else None


def _live_patches(node):
    patches = []
    for name in node.names('/sys/kernel/livepatch') or []:
        enabled = node.first_line('/sys/kernel/livepatch/%s/enabled' % name)
        patches.append({'name': name, 'enabled': None if enabled is None else enabled == '1'})
    return patches


def _line_of(lines, title):
    """The first line with TITLE, together with the next one where the title goes on there, or None."""
    for number, line in enumerate(lines):
        if title.split()[0] not in line.lower():
            continue
        own = ' '.join(line.split())
        if title in own.lower():
            return own[:300]
        both = ' '.join((own + ' ' + ' '.join(lines[number + 1 : number + 2])).split())
        if 0 <= both.lower().find(title) < len(own):
            return both[:300]
    return None


def _searched(text, package, source):
    """What a changelog says. Its entries wrap: the search ignores how white space falls."""
    lines = text.split('\n')
    flat = ' '.join(text.lower().split())
    found = dict((capability, _line_of(lines, title) if title in flat else None) for capability, title in CHANGELOG_TITLES)
    return {'package': package, 'source': source, 'entries': sum(1 for line in lines if line.strip()), 'found': found}


def _inflated(node, path, data):
    """The bytes of gzip DATA, up to where they are damaged: what was found before that still proves something."""
    inflate, parts, length = zlib.decompressobj(16 + zlib.MAX_WBITS), [], 0
    try:
        for start in range(0, len(data), INFLATE_STEP):
            parts.append(inflate.decompress(data[start : start + INFLATE_STEP], CHANGELOG_LIMIT))
            length += len(parts[-1])
            if length > CHANGELOG_LIMIT:
                node.report(path, 'longer than %d bytes, only the beginning was read' % CHANGELOG_LIMIT)
                break
    except zlib.error as error:
        node.report(path, 'not gzip, or damaged: %s' % error)
    return b''.join(parts)


def _debian_changelog(node, release):
    for package in ('linux-image-%s', 'linux-modules-%s', 'linux-image-unsigned-%s', 'linux-headers-%s'):
        package = package % release
        for name in ('changelog.Debian.gz', 'changelog.gz'):
            path = '/usr/share/doc/%s/%s' % (package, name)
            data = node.read(path, limit=CHANGELOG_LIMIT)
            if data is None:
                continue
            text = _inflated(node, path, data)
            if text:
                return _searched(text.decode('utf-8', 'replace'), package, path)
    return None


def _rpm_changelog(node, release, run_command):
    for path in ('/lib/modules/%s/vmlinuz', '/boot/vmlinuz-%s', '/lib/modules/%s/modules.order', '/lib/modules/%s/modules.builtin'):
        path = path % release
        if node.kind(path) != 'file':
            continue
        code, output, dummy = run_command(['rpm', '-q', '--queryformat', '%{NAME}-%{VERSION}-%{RELEASE}.%{ARCH}\n', '-f', path])
        package = output.strip().split('\n')[0].strip()
        if code != 0 or not package or ' ' in package:
            continue
        code, output, dummy = run_command(['rpm', '-q', '--changelog', package])
        if code == 0:
            return _searched(output, package, 'rpm')
    return None


def _changelog(node, release, run_command):
    if not _is_plain_name(release):
        return None
    answer = _debian_changelog(node, release)
    # run_command of a module ends it where there is no such program.
    if answer is None and node.live and run_command and any(node.executable(path) for path in ('/usr/bin/rpm', '/bin/rpm')):
        answer = _rpm_changelog(node, release, run_command)
    return answer


def read_kernel(node, evidence=(), run_command=None):
    """`kernel` of docs/facts.md.

    node: NodeFiles. evidence: with 'changelog', the changelog of the running kernel's package is searched, which may run rpm
    through RUN_COMMAND, a function like AnsibleModule.run_command.
    """
    release = _release(node)
    ip_vs = _ip_vs(node, release)
    return {
        'release': release,
        'version': _version(node),
        'machine': _machine(node, release),
        'os_release': _os_release(node),
        'version_signature': node.first_line('/proc/version_signature'),
        'ip_vs': ip_vs,
        'ip_vs_module_available': _module_available(node, release),
        'ip_vs_loaded_at_boot': _loaded_at_boot(node),
        # The list is long; without ip_vs in the kernel it cannot hold any of the names.
        'symbols': _symbols(node) if ip_vs in ('loaded', 'builtin') else None,
        'live_patches': _live_patches(node),
        'changelog': _changelog(node, release, run_command) if 'changelog' in evidence else None,
        'probe': None,
    }
