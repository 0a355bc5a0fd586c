# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Ansible asks each module to say of itself. A module adds how far it supports it."""

from __future__ import annotations


class ModuleDocFragment:
    """Fragments of documentation, by name."""

    DOCUMENTATION = r"""
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
  diff_mode:
    description: Returns details on what has changed, or possibly needs changing, when in diff mode.
"""

    FACTS = r"""
attributes:
  facts:
    description: Action returns an C(ansible_facts) dictionary that will update existing host facts.
    support: full
"""

    LINUX = r"""
attributes:
  platform:
    description: Target OS/families that can be operated against.
    platforms: linux
    support: full
"""
