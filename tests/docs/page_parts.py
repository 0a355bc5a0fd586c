# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parts of the generated pages: tables, anchors, and sources with links to what they name."""

from __future__ import annotations

import re

KERNEL_ORG = "https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id="
# What in a source's text names a public page, and its address. Only names from which the address follows stand here.
ADDRESSES = (
    (r"Linux commit ([0-9a-f]{12})", KERNEL_ORG + "{0}"),
    (r"announcement of Linux ((\d+)\.\d+\.\d+)", "https://cdn.kernel.org/pub/linux/kernel/v{1}.x/ChangeLog-{0}"),
    (r"\bLP (\d+)", "https://bugs.launchpad.net/bugs/{0}"),
    (r"\bBZ (\d+)", "https://bugzilla.redhat.com/show_bug.cgi?id={0}"),
    (r"\bbsc#(\d+)", "https://bugzilla.suse.com/show_bug.cgi?id={0}"),
    (r"\b(RHEL-\d+)", "https://issues.redhat.com/browse/{0}"),
    (r"\bKEP-(\d+)", "https://github.com/kubernetes/enhancements/issues/{0}"),
    (r"\b(Tencent/TencentOS-kernel) PR (\d+)", "https://github.com/{0}/pull/{1}"),
)
# In texts about kubernetes/kubernetes. GitHub leads from an issue's address to the pull request of this number.
PULL_REQUEST = (r"\b(\d{5,6})\b", "https://github.com/kubernetes/kubernetes/issues/{0}")


def linked(text: str) -> str:
    """TEXT with links at the names of commits, bugs, announcements and pull requests."""
    addresses = (*ADDRESSES, *([PULL_REQUEST] if "kubernetes/kubernetes" in text else []))
    for pattern, address in addresses:
        text = re.sub(pattern, lambda match, address=address: f"[{match.group()}]({address.format(*match.groups())})", text)
    return text


def code(text: str) -> str:
    """TEXT as code, also where it holds a backquote."""
    fence = "``" if "`" in text else "`"
    return f"{fence}{text}{fence}"


def anchor(title: str) -> str:
    """The anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def table(head: list[str], rows: list[list[str]]) -> list[str]:
    """A Markdown table and an empty line; a bar inside a cell is escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return ["| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines] + [""]


def source_list(sources: dict[str, str]) -> list[str]:
    """A heading for the sources and one line for each."""
    return ["## Sources", "", *[f"* `{key}`: {linked(text)}" for key, text in sources.items()], ""]
