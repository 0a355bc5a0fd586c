# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""One entry of `writers` in the facts."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.redaction import redacted

KUBE_PROXY_RESTART, KUBELET_RESTART, REBOOT = 'kube_proxy_restart', 'kubelet_restart', 'reboot'


def writer(kind, path, line, text, value, moments, applied_by, reason=None, period_seconds=None, **more):
    """An entry as docs/facts.md describes it; MORE: via, unit, phase, waits, where they are known."""
    entry = {
        'kind': kind,
        'path': path,
        'line': line,
        'text': None if text is None else redacted(text.strip())[:200],
        'value': value,
        'moments': list(moments),
        'period_seconds': period_seconds,
        'applied_by': list(applied_by),
        'wins': [],
        'reason': reason,
    }
    entry.update((key, content) for key, content in more.items() if content is not None)
    return entry
