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

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.config_directories import is_mask, merged_files

# Highest precedence first.
UNIT_PATH = (
    '/etc/systemd/system.control',
    '/run/systemd/system.control',
    '/run/systemd/transient',
    '/run/systemd/generator.early',
    '/etc/systemd/system',
    '/etc/systemd/system.attached',
    '/run/systemd/system',
    '/run/systemd/system.attached',
    '/run/systemd/generator',
    '/usr/local/lib/systemd/system',
    '/usr/lib/systemd/system',
    '/lib/systemd/system',
    '/run/systemd/generator.late',
)
CGROUPS = ('/sys/fs/cgroup/system.slice/', '/sys/fs/cgroup/systemd/system.slice/', '/sys/fs/cgroup/unified/system.slice/')
UNITS = re.compile(r'^[^/]+\.(?:service|timer|target|socket|path)$')
# Those that another name of theirs matters for.
WITH_ALIASES = ('.service', '.timer', '.target')
# Settings of [Unit] that start others; Requisite= and After= do not (systemd.unit(5)).
PULLS = ('Wants', 'Requires', 'BindsTo', 'Upholds')
# A unit can name more instances of a template than there are.
MAXIMUM_INSTANCES = 200
# What starts the service of the same name.
ACTIVATORS = ('.timer', '.path', '.socket')
# systemd starts these at boot, by way of default.target or of a device that is there (systemd.special(7)). Whether anything wants the passive ones
# among them is not looked up: what is found too much here is told, what is found too little is not.
BOOT_TARGETS = frozenset(
    kind + '.target'
    for kind in (
        'default multi-user graphical basic sysinit local-fs local-fs-pre remote-fs remote-fs-pre network network-pre network-online nss-lookup '
        'nss-user-lookup paths sockets timers swap slices time-set time-sync cryptsetup cryptsetup-pre veritysetup integritysetup getty getty-pre '
        'machines rpcbind first-boot-complete bluetooth printer smartcard sound usb-gadget runlevel2 runlevel3 runlevel4 runlevel5'
    ).split()
)
# Ends of OnCalendar expressions (systemd.time(7)) and the seconds that they, or the number in them, stand for.
CALENDAR_FORMS = (
    (r'\*:\*:\*$', 1),
    (r'\*:\*:(?:[0-9]+|\*)/([0-9]{1,9})$', 1),
    (r'\*:(?:[0-9]+|\*)/([0-9]{1,9})(?::[0-9]+)?$', 60),
    (r'\*:\*(?::[0-9]+)?$', 60),
    (r'\*:[0-9,.]+(?::[0-9]+)?$', 3600),
)
_SPAN = re.compile(r'([0-9]{1,12}(?:\.[0-9]{1,12})?)\s*([a-z]*)')
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
    """A time span of systemd.time(7) in seconds, at most what 64 bits of microseconds hold; None for infinity and what is none."""
    parts = _SPAN.findall(text.strip())
    if not parts or any(unit not in _SECONDS for dummy, unit in parts):
        return None
    return min(sum(float(number) * _SECONDS[unit] for number, unit in parts), 2**64 / 1e6)


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


def expanded(text, name):
    """TEXT of the unit NAME with those specifiers of systemd.unit(5) filled in that its name alone tells."""
    if '%' not in text:
        return text
    stem = name.rpartition('.')[0]
    prefix, dummy, instance = stem.partition('@')
    known = {'%': '%', 'n': name, 'N': stem, 'p': prefix, 'i': instance, 'j': prefix.rpartition('-')[2]}
    for plain, raw in (('P', prefix), ('I', instance), ('J', known['j'])):
        known[plain] = re.sub(r'\\x([0-7][0-9a-f])', lambda found: chr(int(found.group(1), 16)), raw.replace('-', '/'))
    return re.sub('%(.)', lambda found: known.get(found.group(1), found.group(0)), text)


class Unit(object):
    """One unit: its file, its drop-ins, and the settings of all of them together.

    path: text, or None if only drop-ins exist; drop_ins: list of paths in the order in which they apply.
    """

    def __init__(self, node, units, name, path, drop_ins, masked):
        self.name, self.path, self.drop_ins, self.masked = name, path, drop_ins, masked
        self._units = units
        self.entries = []
        for source in ([path] if path and not masked else []) + drop_ins:
            self.entries.extend(parse_unit(node.text(source, limit=256 * 1024) or '', source))

    @property
    def enabled(self):
        """Whether something starts this unit at boot, or it runs now."""
        return self._units.is_enabled(self.name)

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

    def names_of(self, *keys):
        """The set of unit names that settings of [Unit] list. An empty one takes none of them back (systemd.unit(5))."""
        return set(
            expanded(name, self.name) for section, key, value, dummy, dummy in self.entries if section == 'Unit' and key in keys for name in value.split()
        )


class Units(object):
    """The units of a node. Directories are listed once; a unit's files are read when it is asked for."""

    def __init__(self, node):
        self._node = node
        self._names, self._drop_in_directories, self._wanted_by = {}, {}, {}
        self._units = {}
        self._aliases = self._timers = self._starts = None
        seen = set()
        for directory in UNIT_PATH:
            identity = node.identity(directory)
            if identity is not None and identity not in seen:
                seen.add(identity)
                self._index(directory)

    def _index(self, directory):
        for name in self._node.names(directory) or []:
            path = directory + '/' + name
            if name.endswith('.d'):
                self._drop_in_directories.setdefault(name, []).append(path)
            elif name.endswith(('.wants', '.requires', '.upholds')):
                for wanted in self._node.names(path) or []:
                    self._wanted_by.setdefault(wanted, set()).add(name.rpartition('.')[0])
            elif UNITS.match(name):
                self._names.setdefault(name, path)

    def _real_names(self):
        """{name: name of the unit that it is a link to} of all aliases."""
        if self._aliases is None:
            self._aliases = {}
            for name, path in self._names.items():
                if not name.endswith(WITH_ALIASES):
                    continue
                target = (self._node.link(path) or '').rpartition('/')[2]
                if target and target != name and (target in self._names or _template_of(target) in self._names):
                    self._aliases[name] = target
        return self._aliases

    def real_name(self, name):
        """The name of the unit that NAME stands for."""
        return self._real_names().get(name, name)

    def all_names(self, name):
        """A unit's own name and its aliases."""
        return [name] + sorted(alias for alias, real in self._real_names().items() if real == name)

    def names(self, ending='.service'):
        """The names of all units of a type that have a file. Of templates, the instances that something wants; aliases left out."""
        found = set(name for name in self._names if not name.endswith('@' + ending))
        found.update(name for name in self._wanted_by if '@' in name and _template_of(name) in self._names)
        return sorted(name for name in found if name.endswith(ending) and name not in self._real_names())

    def _file_of(self, name):
        return self._names.get(name) or self._names.get(_template_of(name))

    def _drop_ins_of(self, names):
        places = []
        for name in names:
            stem, dummy, kind = name.rpartition('.')
            # foo-.service.d applies to all units foo-*.service.
            parts = stem.split('-')
            places += [kind + '.d'] + ['-'.join(parts[:count]) + '-.' + kind + '.d' for count in range(1, len(parts))]
            places += [_template_of(name) + '.d'] if _template_of(name) != name else []
        places += [name + '.d' for name in names]
        found = {}
        for place in places:
            for path, masked_by in merged_files(self._node, self._drop_in_directories.get(place, [])):
                # The more specific directory hides what the type-wide one calls the same.
                if masked_by in (None, path):
                    found[path.rpartition('/')[2]] = None if masked_by else path
        return [found[key] for key in sorted(found) if found[key]]

    def find(self, name):
        """The Unit of this name, or None if it has neither a file nor drop-ins. An alias gives the unit that it stands for."""
        name = self.real_name(name)
        if name not in self._units:
            path, names = self._file_of(name), self.all_names(name)
            if path is None and name + '.d' not in self._drop_in_directories:
                self._units[name] = None
            else:
                masked = path is not None and (is_mask(self._node, path) or self._node.size(path) == 0)
                self._units[name] = Unit(self._node, self, name, path, self._drop_ins_of(names), masked)
        return self._units[name]

    def with_files(self):
        """The names of all units that have a file or drop-ins, templates and aliases left out."""
        found = set(self._names).union(name for name in self._wanted_by if _template_of(name) in self._names)
        found.update(name[:-2] for name in self._drop_in_directories if UNITS.match(name[:-2]) and '-.' not in name)
        return sorted(name for name in found if '@.' not in name and name not in self._real_names())

    def is_instance(self, name):
        """Whether NAME is an instance of a template that has a file."""
        return _template_of(name) != name and _template_of(name) in self._names

    def linked_by(self, name):
        """The set of names of the units that want or require this one through a link."""
        return set(self.real_name(wanter) for known in self.all_names(name) for wanter in self._wanted_by.get(known, ()))

    @property
    def starts(self):
        """unit_starts.UnitStarts of these units. Most nodes need none: a link of a target tells what is started at boot."""
        if self._starts is None:
            from ansible_collections.kubeproxy.ipvs.plugins.module_utils.unit_starts import UnitStarts

            self._starts = UnitStarts(self)
        return self._starts

    def begins(self, name):
        """Whether a unit that starts others is itself there after a boot, whatever starts it."""
        if not BOOT_TARGETS.isdisjoint(self.all_names(name)) or self.is_active(name):
            return True
        if self._file_of(name):
            return False
        # Units of devices and the like have no files; and of a tree nobody knows what was not collected.
        return not self._node.live or not UNITS.match(name)

    def activators_of(self, name):
        """The names of those units of the same name that start a service when something happens."""
        stem, dummy, kind = name.rpartition('.')
        found = [stem + ending for ending in ACTIVATORS] if kind == 'service' else []
        return [activator for activator in found if activator in self._names or activator in self._wanted_by]

    def is_enabled(self, name):
        """Whether something starts this unit at boot, or it runs now."""
        unit = self.find(name)
        if unit is not None and unit.masked:
            return False
        if any(self.begins(wanter) for wanter in self.linked_by(name)) or self.is_active(name):
            return True
        return self.starts.reach(name)

    def is_active(self, name):
        """Whether the unit has a control group, that is, runs now."""
        return self._node.live and any(self._node.kind(directory + name) == 'directory' for directory in CGROUPS)

    def _started_by_timers(self):
        """{name of a service: (its enabled timer, seconds between two starts by it, None if it fires once)}."""
        if self._timers is None:
            self._timers = {}
            for timer_name in self.names('.timer'):
                timer = self.find(timer_name) if self.is_enabled(timer_name) else None
                if timer is not None:
                    service = timer.value('Timer', 'Unit') or timer_name.rpartition('.')[0] + '.service'
                    self._timers[self.real_name(service)] = (timer_name, _period_of_timer(timer))
        return self._timers

    def period_of(self, name):
        """Seconds between two starts of a service by its timer, or None if it has no enabled one. A day if that cannot be told."""
        return self._started_by_timers().get(name, (None, None))[1]

    def timer_of(self, name):
        """The name of the enabled timer that starts a service, or None."""
        return self._started_by_timers().get(name, (None, None))[0]


def _template_of(name):
    return re.sub(r'@.*(\.\w+)$', r'@\1', name)


def _period_of_timer(timer):
    for key in ('OnUnitActiveSec', 'OnUnitInactiveSec'):
        span = seconds_of(timer.value('Timer', key) or '')
        if span:
            return max(int(span), 1)
    calendar = timer.value('Timer', 'OnCalendar')
    return _calendar_period(calendar) if calendar else None


def _calendar_period(text):
    """Seconds between two times of OnCalendar, at the longest; only the common forms are told apart."""
    named = {'minutely': 60, 'hourly': 3600, 'daily': 86400, 'weekly': 604800, 'monthly': 31 * 86400}
    if text.lower() in named:
        return named[text.lower()]
    for expression, unit in CALENDAR_FORMS:
        found = re.search(expression, text.strip())
        if found:
            return unit * (int(found.group(1)) if found.groups() else 1)
    return 86400
