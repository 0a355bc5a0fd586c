# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Numbers in names: kernel releases, kube-proxy versions, and the day a kernel was built.

All versions are compared by packaging.version; this file only finds them in what programs print.
"""

from __future__ import annotations

import datetime
import functools
import re

try:
    from packaging.version import InvalidVersion, Version
except ImportError:
    # ansible-core itself needs packaging: this is for tools that only look at the file.
    InvalidVersion = Version = None

# Kernels of reproducible builds carry the epoch, 1980 or the like instead of their day.
EARLIEST_BUILD = datetime.date(2006, 1, 1)

_LEADING = re.compile(r"\s*v?(\d{1,9}(?:\.\d{1,9}){1,5})(?!\d)", re.ASCII)
_PRERELEASE = re.compile(r"\s*v?\d{1,9}(?:\.\d{1,9}){1,5}-(rc|alpha|beta)\.?(\d{1,9})", re.ASCII)
_MONTHS = {name: number for number, name in enumerate("Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec".split(), 1)}
_NUMERIC_DATE = re.compile(r"\b(\d{4})-(\d{2})-(\d{2})\b", re.ASCII)
_MONTH = "(" + "|".join(_MONTHS) + ")"
# "Tue Sep 15 00:00:00 UTC 2020", and with the day first: "Mon, 5 Sep 2022 10:00:00"
_MONTH_DAY = re.compile(rf"\b{_MONTH}\s+(\d{{1,2}})\b[^\d]*(?:\d{{1,2}}:\d{{2}}(?::\d{{2}})?)?\s*(?:[A-Z]{{2,5}}|[+-]\d{{2,4}})?\s*(\d{{4}})\b")
_DAY_MONTH = re.compile(rf"\b(\d{{1,2}})\s+{_MONTH}\s+(\d{{4}})\b")


def version(text) -> Version | None:
    """TEXT as a version, or None if it is none: '5.4.59', '305.25.1', '1.22.0-rc.0'."""
    return _version(text) if isinstance(text, str) and len(text) <= 100 else None


# A fleet has few different ones, and each is compared with every row of the knowledge.
@functools.lru_cache(maxsize=4096)
def _version(text: str) -> Version | None:
    try:
        return Version(text)
    except InvalidVersion:
        return None


def leading_version(text) -> Version | None:
    """The version at the beginning of a kernel release or kube-proxy version, suffixes of vendors left out.

    '4.18.0-147.el8' -> 4.18.0; '5.9.0-rc1' -> 5.9.0rc1; 'v1.28.5+k3s1' -> 1.28.5; '1.22.0-alpha.1' -> 1.22.0a1.
    """
    return _leading_version(text) if isinstance(text, str) else None


@functools.lru_cache(maxsize=4096)
def _leading_version(text: str) -> Version | None:
    found = _LEADING.match(text)
    if not found:
        return None
    stage = _PRERELEASE.match(text)
    return version(found.group(1) + (stage.group(1) + stage.group(2) if stage else ""))


def vendor_suffix(text) -> str:
    """What follows the upstream version in a kube-proxy version: '+k3s1', '-eks-abc', '' for upstream itself."""
    found = _LEADING.match(text) if isinstance(text, str) else None
    if not found:
        return ""
    stage = _PRERELEASE.match(text)
    return text[(stage or found).end() :].strip()


def build_date(uname_version) -> datetime.date | None:
    """The day named in `uname -v`, or None if there is none or it is an obvious placeholder."""
    return _build_date(uname_version[:500]) if isinstance(uname_version, str) else None


@functools.lru_cache(maxsize=4096)
def _build_date(text: str) -> datetime.date | None:
    for expression, order in ((_NUMERIC_DATE, "ymd"), (_MONTH_DAY, "mdy"), (_DAY_MONTH, "dmy")):
        for found in expression.finditer(text):
            parts = dict(zip(order, found.groups()))
            month = _MONTHS.get(parts["m"]) or int(parts["m"])
            try:
                day = datetime.date(int(parts["y"]), month, int(parts["d"]))
            except ValueError:
                continue
            if day >= EARLIEST_BUILD:
                return day
    return None
