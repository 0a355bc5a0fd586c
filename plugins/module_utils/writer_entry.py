# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One entry of `writers` in the facts."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import redacted

# An assignment in a unit file, which may have blanks around its =.
_SPACED = re.compile(r'^\s*(\w+)\s*=\s*')
# So many characters of a line are told.
LIMIT = 200
KUBE_PROXY_RESTART, KUBELET_RESTART, REBOOT = 'kube_proxy_restart', 'kubelet_restart', 'reboot'


def shown(text):
    """A line as the facts tell it."""
    return redacted(text.strip())[:LIMIT]


def writer(kind, path, line, text, value, moments, applied_by, reason=None, period_seconds=None, **more):
    """An entry as docs/facts.md describes it; MORE: via, unit, phase, waits, where they are known. tell_line() adds the last part."""
    entry = {
        'kind': kind,
        'path': path,
        'line': line,
        'text': None if text is None else shown(text),
        'value': value,
        'moments': list(moments),
        'period_seconds': period_seconds,
        'applied_by': list(applied_by),
        'wins': [],
        'reason': reason,
    }
    entry.update((key, content) for key, content in more.items() if content is not None)
    return entry


def tell_line(node, entry):
    """Add `file_line` to an entry whose text is not a line of its file as it stands there: that line, or None if it goes on over several."""
    if not entry['path'] or entry['text'] is None:
        return
    lines = (node.text(entry['path']) or '').split('\n')
    line = lines[entry['line'] - 1].rstrip('\r') if 0 < (entry['line'] or 0) <= len(lines) else ''
    if entry['text'] not in (shown(line), shown(_SPACED.sub(r'\1=', line))) or u'\ufffd' in line or len(line) > 2 * LIMIT:
        entry['file_line'] = None
    elif line != entry['text']:
        entry['file_line'] = redacted(line)
