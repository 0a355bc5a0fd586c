# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the tests measured, at the end."""

from __future__ import annotations

from inventory_tools import MEASURED


def pytest_terminal_summary(terminalreporter):
    """What was measured."""
    if MEASURED:
        terminalreporter.section("measured")
        for words in MEASURED:
            terminalreporter.write_line(words)
