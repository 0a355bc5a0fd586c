# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The things that shell text can do to the value. Most text does none of them: what understands the others (shell_text) is loaded for those alone."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

WRITE, SYSTEM, FILE, SERVICE, MODPROBE = 'write', 'system', 'file', 'service', 'modprobe'
# Text that holds none of these does nothing to the value and loads nothing.
RELEVANT = re.compile(r'conn_reuse_mode|sysctl|ip_vs|procps')


class Action(object):
    """One thing that a line does. kind: write (the value), system, file (sysctl re-reads its files), service (systemd-sysctl), modprobe.

    value: what is written, None if it stands in a variable; argument: the file of `sysctl -p`; line: 1-based; text: the line.
    is_roots: nobody but root can change the file that it stands in.
    """

    is_roots = True

    def __init__(self, kind, line, text, value=None, argument=None):
        self.kind, self.line, self.text, self.value, self.argument = kind, line, text.strip()[:200], value, argument


def place_of(action, script, via, starter):
    """(path, line, text, via) of the place in which an ACTION of a SCRIPT, None for the command itself, is to be stopped.

    STARTER: (path, line, text) of what starts the script. Whoever can change a script may lead an edit of it elsewhere: then what starts it is told,
    and what it does is by way of (VIA) the script, which nobody edits.
    """
    if script and action.is_roots:
        return script, action.line, action.text, via
    return starter + (via if action.is_roots else via or script,)


def read_actions(text):
    """The Actions of shell text, in order."""
    if not RELEVANT.search(text):
        return []
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils.shell_text import actions_in

    return actions_in(text)
