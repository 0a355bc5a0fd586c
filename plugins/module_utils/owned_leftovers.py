# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The option `owned` of kube_proxy_leftovers: what is wrong with it, and which sets it means."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

# A prefix that is shorter could be anybody's.
SHORTEST_PREFIX = 5
_NAME = re.compile(r'^[A-Za-z0-9._:-]+$')


def why_unusable(owned):
    """What is wrong with the option `owned`, a sentence, or None."""
    for row in owned['chains']:
        name = row.get('name') or row.get('prefix') or ''
        if not _NAME.match(name):
            return 'owned: %r is no name of a chain' % name
        if not row.get('name') and len(name) < SHORTEST_PREFIX:
            return 'owned: the prefix %s of chains is shorter than %d characters' % (name, SHORTEST_PREFIX)
    for prefix in owned['sets'].get('prefixes') or []:
        if len(prefix) < SHORTEST_PREFIX:
            return 'owned: the prefix %s of sets is shorter than %d characters' % (prefix, SHORTEST_PREFIX)
    for name in owned['interfaces'] + (owned['sets'].get('names') or []):
        if not _NAME.match(name):
            return 'owned: %r is no name of an interface or a set' % name
    return None


def owned_sets(names, sets):
    """Those of NAMES that `sets` of the option `owned` means."""
    prefixes = tuple(sets.get('prefixes') or ())
    return [name for name in names if _NAME.match(name) and (name in (sets.get('names') or ()) or (prefixes and name.startswith(prefixes)))]
