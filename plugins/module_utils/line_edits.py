# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Changes of text files, as people read them and as the module recorded_files takes them."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible.module_utils.common.text.converters import to_bytes

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.recorded_lines import replaced


class Edit(object):
    """One file before and after. before: its text, None if it is to be made; mode: of a file that is to be made, or is written anew."""

    def __init__(self, path, before, after, mode='0644'):
        self.path, self.before, self.after, self.mode = path, before, after, mode

    def changes(self):
        """[(line, its text or None if it is new, what it becomes)] of each line that changes. Lines count from 1, in the new text."""
        return changed_lines(self.before, self.after)

    def entry(self, whole=False):
        """The entry of recorded_files' option `files`. whole: write the file anew, also where replacing lines would do."""
        lines = [] if whole or self.before is None else [(text, becomes) for dummy, text, becomes in self.changes()]
        if lines and all(text for text, dummy in lines):
            # A line that stands elsewhere too would change there as well: what comes of it shows that.
            asked = [[text, [becomes]] for text, becomes in lines]
            apart = len(set(text for text, dummy in lines)) == len(lines) and not set(dict(lines)).intersection(dict(lines).values())
            plain = not any('\r' in text or not becomes for text, becomes in lines)
            if apart and plain and replaced(to_bytes(self.before), asked) == to_bytes(self.after):
                return {'path': self.path, 'lines': [{'line': text, 'replacement': becomes} for text, becomes in lines]}
        return {'path': self.path, 'content': self.after, 'mode': self.mode}


def _bare(line):
    return line[:-1] if line.endswith('\r') else line


def changed_lines(before, after):
    """[(line, text before, text after)] of the lines that differ; the text before is None for a line that comes in between."""
    new = after.split('\n')
    if before is None:
        return [(number, None, _bare(line)) for number, line in enumerate(new, 1) if line or number < len(new)]
    old = before.split('\n')
    if len(old) == len(new):
        return [(number, _bare(one), _bare(other)) for number, (one, other) in enumerate(zip(old, new), 1) if one != other]
    # The line in front may only get the line end that it lacked.
    start = 0
    while start < min(len(old), len(new)) and _bare(old[start]) == _bare(new[start]):
        start += 1
    return [(start + number, None, _bare(line)) for number, line in enumerate(new[start:start + len(new) - len(old)], 1)]
