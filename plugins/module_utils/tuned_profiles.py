# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What tuned sets: its active profile with all profiles that it includes (tuned-profiles(7), tuned.conf(5))."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl_files import KEY, number_of

# Highest precedence first; newer versions have put a directory between.
DIRECTORIES = ('/etc/tuned/profiles', '/etc/tuned', '/usr/lib/tuned/profiles', '/usr/lib/tuned')
MAXIMUM_DEPTH = 10
TRUE = ('1', 'true', 'yes', 'y', 't', 'on')


def _sections(text):
    """[(section, [(line number, key, value, line)])] of a file, in order; what stands before the first is in ''."""
    sections = [('', [])]
    for number, line in enumerate(text.split('\n'), 1):
        stripped = line.strip()
        if stripped.startswith('[') and stripped.endswith(']'):
            sections.append((stripped[1:-1], []))
        elif stripped and stripped[0] not in '#;' and '=' in stripped:
            key, dummy, value = stripped.partition('=')
            sections[-1][1].append((number, key.strip(), value.strip(), line))
    return sections


class TunedProfiles(object):
    """line: (path, number, text, value or None) of the line that sets the key in the end, or None.

    has_sysctl: a sysctl section is active; applies_files_again: tuned applies sysctl.d and sysctl.conf after its profile.
    """

    def __init__(self, node):
        self._node = node
        self.line, self.has_sysctl = None, False
        for name in (node.text('/etc/tuned/active_profile') or '').split():
            self._read(name, 0)
        settings = dict(
            (key, value.lower()) for dummy, entries in _sections(node.text('/etc/tuned/tuned-main.conf') or '') for dummy, key, value, dummy in entries
        )
        self.applies_files_again = self.has_sysctl and settings.get('reapply_sysctl', '1') in TRUE

    def _read(self, name, depth):
        """Take in a profile; those that it includes come first, so that its own lines win."""
        if depth > MAXIMUM_DEPTH or '/' in name or name in ('.', '..'):
            return
        for directory in DIRECTORIES:
            path = '%s/%s/tuned.conf' % (directory, name)
            text = self._node.text(path)
            if text is not None:
                self._take(path, _sections(text), depth)
                return

    def _take(self, path, sections, depth):
        for section, entries in sections:
            for dummy, key, value, dummy in entries:
                if section == 'main' and key == 'include':
                    for included in re.split(r'[\s,;]+', value):
                        if included.lstrip('-'):
                            self._read(included.lstrip('-'), depth + 1)
        for section, entries in sections:
            settings = dict((key, value) for dummy, key, value, dummy in entries)
            if settings.get('type', section) != 'sysctl' or settings.get('enabled', '1').lower() not in TRUE:
                continue
            self.has_sysctl = True
            if settings.get('replace', '').lower() in TRUE:
                self.line = None
            for number, key, value, line in entries:
                if key.replace('.', '/') == KEY:
                    self.line = (path, number, line, number_of(value.strip('"\'')))
