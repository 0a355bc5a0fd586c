# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests measured, at the end."""

from __future__ import annotations

from lab_tests import pytest_terminal_summary

__all__ = ["pytest_terminal_summary"]
