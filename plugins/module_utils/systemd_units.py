# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The units of a node, read from their files as systemd.unit(5) says, without asking systemd."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re
import shlex

from ansible.module_utils.common.text.converters import to_native, to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.config_directories import merged_files

# Highest precedence first.
UNIT_PATH = (
    '/etc/systemd/system.control',
    '/run/systemd/system.control',
    '/run/systemd/transient',
    '/etc/systemd/system',
    '/run/systemd/system',
    '/run/systemd/generator',
    '/usr/local/lib/systemd/system',
    '/usr/lib/systemd/system',
    '/lib/systemd/system',
)
CGROUPS = ('/sys/fs/cgroup/system.slice/', '/sys/fs/cgroup/systemd/system.slice/', '/sys/fs/cgroup/unified/system.slice/')
UNITS = re.compile(r'^(?:[^/]+)\.(?:service|timer)$')
_SPAN = re.compile(r'(\d+(?:\.\d+)?)\s*([a-z]*)')
_SECONDS = {
    '': 1,
    's': 1,
    'sec': 1,
    'second': 1,
    'seconds': 1,
    'ms': 0.001,
    'msec': 0.001,
    'us': 0.000001,
    'usec': 0.000001,
    'm': 60,
    'min': 60,
    'minute': 60,
    'minutes': 60,
    'h': 3600,
    'hr': 3600,
    'hour': 3600,
    'hours': 3600,
    'd': 86400,
    'day': 86400,
    'days': 86400,
    'w': 604800,
    'week': 604800,
    'weeks': 604800,
}


def seconds_of(text):
    """A time span of systemd.time(7) in seconds; None for infinity and what is none."""
    parts = _SPAN.findall(text.strip())
    if not parts or any(unit not in _SECONDS for dummy, unit in parts):
        return None
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def split_command(line):
    """The words of an Exec line, without the prefixes of systemd.service(5); blanks alone divide where quotes do not match."""
    line = line.lstrip().lstrip('@-:+!|').strip()
    # Most lines need no rules for quotes, and splitting them is a tenth of the work.
    if not any(character in line for character in '"\'\\'):
        return line.split()
    try:
        return [to_text(word) for word in shlex.split(to_native(line))]
    except ValueError:
        return line.split()


def parse_unit(text, path):
    """[(section, key, value, path, line)] of a unit file: continued lines joined, comments left out."""
    entries = []
    section = pending = None
    began = 0
    for number, line in enumerate(text.split('\n'), 1):
        line = line.rstrip('\r')
        if pending is None and line.lstrip().startswith(('#', ';')):
            continue
        if pending is not None:
            if line.lstrip().startswith(('#', ';')):
                continue
            line, number = pending + ' ' + line.strip(), began
        if line.endswith('\\'):
            pending, began = line[:-1].rstrip(), number
            continue
        pending = None
        line = line.strip()
        if line.startswith('[') and line.endswith(']'):
            section = line[1:-1]
            continue
        key, separator, value = line.partition('=')
        if separator and section:
            entries.append((section, key.strip(), value.strip(), path, number))
    return entries


class Unit(object):
    """One unit: its file, its drop-ins, and the settings of all of them together.

    path: text, or None if only drop-ins exist; drop_ins: list of paths in the order in which they apply.
    """

    def __init__(self, node, name, path, drop_ins, masked, enabled):
        self.name, self.path, self.drop_ins, self.masked, self.enabled = name, path, drop_ins, masked, enabled
        self.entries = []
        for source in ([path] if path and not masked else []) + drop_ins:
            self.entries.extend(parse_unit(node.text(source, limit=256 * 1024) or '', source))

    def values(self, section, key):
        """All values of a setting that are in force, [{value, path, line}]: an empty one takes back those before it."""
        found = []
        for entry_section, entry_key, value, path, line in self.entries:
            if (entry_section, entry_key) == (section, key):
                found = found + [{'value': value, 'path': path, 'line': line}] if value else []
        return found

    def value(self, section, key):
        """The last value of a setting, or None."""
        found = self.values(section, key)
        return found[-1]['value'] if found else None

    def commands(self):
        """Every command that a start runs: [(key, {value, path, line})]."""
        keys = ('ExecStartPre', 'ExecStart', 'ExecStartPost')
        return [(key, entry) for key in keys for entry in self.values('Service', key)]


class Units(object):
    """The units of a node. Directories are listed once; a unit's files are read when it is asked for."""

    def __init__(self, node):
        self._node = node
        self._names, self._drop_in_directories, self._wanted = {}, {}, set()
        self._units = {}
        seen = set()
        self._directories = []
        for directory in UNIT_PATH:
            identity = node.identity(directory)
            if identity is not None and identity not in seen:
                seen.add(identity)
                self._directories.append(directory)
                self._index(directory)

    def _index(self, directory):
        for name in self._node.names(directory) or []:
            path = directory + '/' + name
            if name.endswith('.d'):
                self._drop_in_directories.setdefault(name, []).append(path)
            elif name.endswith(('.wants', '.requires')):
                self._wanted.update(self._node.names(path) or [])
            elif UNITS.match(name):
                self._names.setdefault(name, path)

    def names(self, ending='.service'):
        """The names of all units of a type that have a file, templates left out."""
        return sorted(name for name in self._names if name.endswith(ending) and not name.endswith('@' + ending))

    def _file_of(self, name):
        template = re.sub(r'@.*(\.\w+)$', r'@\1', name)
        return self._names.get(name) or self._names.get(template)

    def _drop_ins_of(self, name):
        stem, dummy, kind = name.rpartition('.')
        places = [kind + '.d']
        # foo-.service.d applies to all units foo-*.service.
        parts = stem.split('-')
        places += ['-'.join(parts[:count]) + '-.' + kind + '.d' for count in range(1, len(parts))]
        template = re.sub(r'@.*(\.\w+)$', r'@\1', name)
        places += [template + '.d', name + '.d'] if template != name else [name + '.d']
        found = {}
        for place in places:
            for path, masked_by in merged_files(self._node, self._drop_in_directories.get(place, [])):
                # The more specific directory hides what the type-wide one calls the same.
                if masked_by in (None, path):
                    found[path.rpartition('/')[2]] = None if masked_by else path
        return [found[key] for key in sorted(found) if found[key]]

    def find(self, name):
        """The Unit of this name, or None if it has neither a file nor drop-ins."""
        if name not in self._units:
            path, drop_ins = self._file_of(name), self._drop_ins_of(name)
            if path is None and name + '.d' not in self._drop_in_directories:
                self._units[name] = None
            else:
                masked = path is not None and (self._node.link(path) == '/dev/null' or self._node.size(path) == 0)
                self._units[name] = Unit(self._node, name, path, drop_ins, masked, self.is_enabled(name))
        return self._units[name]

    def is_enabled(self, name):
        """Whether something starts this unit at boot, or it runs now."""
        if name in self._wanted or self.is_active(name):
            return True
        timer = name.rpartition('.')[0] + '.timer'
        return name.endswith('.service') and timer in self._wanted

    def is_active(self, name):
        """Whether the unit has a control group, that is, runs now."""
        return self._node.live and any(self._node.kind(directory + name) == 'directory' for directory in CGROUPS)

    def period_of(self, name):
        """Seconds between two starts of a service by its timer, or None if it has no enabled one. A day if that cannot be told."""
        stem = name.rpartition('.')[0]
        for timer_name in [stem + '.timer'] + [other for other in self.names('.timer') if other != stem + '.timer']:
            if timer_name not in self._names or not (timer_name in self._wanted or self.is_active(timer_name)):
                continue
            timer = self.find(timer_name)
            if timer is None or timer.masked or (timer.value('Timer', 'Unit') or timer_name.rpartition('.')[0] + '.service') != name:
                continue
            for key in ('OnUnitActiveSec', 'OnUnitInactiveSec'):
                span = seconds_of(timer.value('Timer', key) or '')
                if span:
                    return max(int(span), 1)
            if timer.value('Timer', 'OnCalendar'):
                return _calendar_period(timer.value('Timer', 'OnCalendar'))
        return None


def _calendar_period(text):
    """Seconds between two times of OnCalendar, at the longest; only the common forms are told apart."""
    named = {'minutely': 60, 'hourly': 3600, 'daily': 86400, 'weekly': 604800, 'monthly': 31 * 86400}
    if text.lower() in named:
        return named[text.lower()]
    for expression, unit in (
        (r'\*:\*:\*$', 1),
        (r'\*:\*:(?:\d+|\*)/(\d+)$', 1),
        (r'\*:(?:\d+|\*)/(\d+)(?::\d+)?$', 60),
        (r'\*:\*(?::\d+)?$', 60),
        (r'\*:\d+(?::\d+)?$', 3600),
    ):
        found = re.search(expression, text.strip())
        if found:
            return unit * (int(found.group(1)) if found.groups() else 1)
    return 86400
