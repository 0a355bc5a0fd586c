# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where programs of a node are looked for: what root runs must not be a file that somebody else has put on root's path."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import os

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import is_roots_alone

# The system's own, after whatever the path of the caller has.
OF_THE_SYSTEM = ('/usr/sbin', '/usr/bin', '/sbin', '/bin')


def trusted_path(path):
    """PATH, the text of an environment's variable, with those of its directories alone that nobody but root can change, and those of the system."""
    kept = [directory for directory in path.split(':') if directory.startswith('/') and is_roots_alone(directory)]
    return ':'.join(kept + [directory for directory in OF_THE_SYSTEM if directory not in kept])


def trust_programs():
    """Have this process, and those that it starts, look for programs on the trusted path alone."""
    os.environ['PATH'] = trusted_path(os.environ.get('PATH', ''))
