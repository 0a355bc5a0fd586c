# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inputs with which a fault was found and that are better written than kept as files: long ones, and one with ends of lines that files here do not have."""

from __future__ import annotations

# (target, name): the input. The long ones took time that grows with the square of their length.
WRITTEN = {
    ("flags_in_text", "many-variables"): b"".join(b"A%d=x\n" % number for number in range(20000)),
    ("flags_in_text", "one-variable-many-times"): b"ExecStart=\\\n" * 20000,
    ("lines_of_file", "empty-line-at-the-end"): b"a = 1\r\nc\n=====\nc=>\n",
    ("mode_in_configuration", "many-documents"): b"kind: KubeProxyConfiguration\nmode: ipvs\n" + b"---\n" * 8000,
    ("shell_script", "watch-again-and-again"): b"watch " * 30000,
}
