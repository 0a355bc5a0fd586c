# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A comparison that finds nothing proves nothing: each contradiction is found, and nothing else is one."""

from __future__ import annotations

import json
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import compare  # noqa: E402
import page  # noqa: E402

FIXED = {"reuse_without_drop": True, "respects_zero_weight": True, "flushes_deleted": True}
UNFIXED = dict.fromkeys(FIXED, False)
SYSCTLS = ("conntrack", "conn_reuse_mode", "expire_nodest_conn")
SETTINGS = [(conntrack, mode, expire) for conntrack in (0, 1) for mode in range(4) for expire in (0, 1)]
CASES = ("reuse", "ipv6", "masqueraded", "established", "fin_wait", "close")


def measured(capabilities, release):
    """What a kernel with these capabilities gives, as far as it is compared."""
    results = []
    for conntrack, mode, expire in SETTINGS:
        delay = "1 s" if mode and conntrack and not capabilities["reuse_without_drop"] else "fast"
        moves = mode or (expire and capabilities["respects_zero_weight"])
        answers = {"": "scheduled again" if mode else "same", "_weight_0": "other" if moves else "same"}
        cases = {name + then: {"delay": delay, "backend": backend, "inconclusive": None} for name in CASES for then, backend in answers.items()}
        flushed = "fast" if capabilities["flushes_deleted"] else "1 s"
        cases |= {name: {"delay": flushed, "backend": "other", "inconclusive": None} for name in ("reuse_deleted", "udp_deleted", "udp_weight_0")}
        results.append({"setting": dict(zip(SYSCTLS, (conntrack, mode, expire))), "cases": cases})
    return {"kernel": {"release": release}, "seconds": 9.0, "attempts": 1, "results": results}


def facts(release):
    """What the module reads on such a kernel, as far as it decides."""
    return {"kernel": {"release": release, "symbols": []}, "sysctl": {}}


def printed(document, release):
    """What `inside` prints of it."""
    return json.dumps(document) + "\n" + json.dumps(facts(release)) + "\n"


def compared(capabilities=None, release="6.1.0-18-amd64", declared=None, change=None, **row):
    """The sentences that contradict of a kernel with CAPABILITIES that is declared as DECLARED; change(results) falsifies what was measured."""
    capabilities = capabilities or FIXED
    document = measured(capabilities, release)
    if change:
        change({tuple(result["setting"][name] for name in SYSCTLS): result["cases"] for result in document["results"]})
    output = printed(document, release)
    kernel = compare.compare_kernel("kernel", {"capabilities": declared or capabilities, "package": "here", **row}, output)
    found = {row.setting: row.contradictions for row in kernel.rows if row.contradictions}
    return found | {name: sentences for name, sentences in kernel.contradictions.items() if sentences}


@pytest.mark.parametrize(
    ("capabilities", "release"),
    [(FIXED, "6.1.0-18-amd64"), (FIXED | {"respects_zero_weight": False}, "5.10.46"), (UNFIXED, "3.10.0-1160.el7.x86_64"), (FIXED, "4.99.0-unheard-of")],
)
def test_true_kernels_do_not_contradict(capabilities, release):
    """Also where the decision knows nothing of the kernel."""
    assert not compared(capabilities, release)


@pytest.mark.parametrize("case", ["reuse", "reuse_weight_0", "ipv6", "masqueraded_weight_0"])
@pytest.mark.parametrize(("what", "words"), [("delay", {"fast": "1 s"}), ("backend", {"other": "same", "same": "other", "scheduled again": "same"})])
def test_every_setting_counts(case, what, words):
    """A falsified value is found, whatever the setting."""
    release = "6.1.0-18-amd64"
    for result in measured(FIXED, release)["results"]:
        result["cases"][case][what] = words[result["cases"][case][what]]
        assert compare.compare_setting(facts(release), {}, dict.fromkeys(FIXED, "yes"), result).contradictions, result["setting"]


def test_inconclusive_is_a_failure():
    """Whatever case it is."""

    def change(results):
        results[(1, 2, 1)]["close"]["inconclusive"] = "conntrack was not active"

    assert list(compared(change=change)) == [(1, 2, 1)]


@pytest.mark.parametrize("capability", sorted(FIXED))
def test_a_kernel_that_is_not_what_is_declared(capability):
    """It contradicts its declaration although nobody else knows it."""
    assert capability in compared(FIXED, "4.99.0-unheard-of", declared=FIXED | {capability: False})


def test_a_kernel_that_is_not_what_its_name_says():
    """It contradicts the decision, unless it is declared as misleading."""
    lying = FIXED | {"flushes_deleted": False}
    assert list(compared(lying)) == ["flushes_deleted"]
    assert not compared(lying, misleading=["flushes_deleted"])
    lying = FIXED | {"respects_zero_weight": False}
    assert (1, 0, 1) in compared(lying)
    assert not compared(lying, misleading=["respects_zero_weight"])


def test_output_of_a_kernel_that_broke_off():
    """No measurement is not a passed one."""
    with pytest.raises(compare.Failed):
        compare.compare_kernel("kernel", {"capabilities": FIXED}, "")


def test_page(tmp_path, capsys):
    """What is written is what is found again; another measurement is not, and kernels that were not measured stay."""
    path = tmp_path / "measured.md"
    kernels = [
        compare.compare_kernel(name, {"capabilities": capabilities, "package": "here"}, printed(measured(capabilities, "6.1.0-1"), "6.1.0-1"))
        for name, capabilities in (("one", FIXED), ("two", FIXED | {"respects_zero_weight": False}))
    ]
    capsys.readouterr()
    assert page.keep(path, kernels, ["one", "two"], write=False)
    assert not page.keep(path, kernels, ["one", "two"], write=True)
    assert not page.keep(path, kernels, ["one", "two"], write=False)
    text = path.read_text(encoding="utf-8")
    assert not page.keep(path, kernels[1:], ["one", "two"], write=False)
    page.keep(path, kernels[1:], ["one", "two"], write=True)
    assert path.read_text(encoding="utf-8") == text
    kernels[0].rows[0].cases["reuse"]["delay"] = "3 s"
    assert [words for words in page.keep(path, kernels, ["one", "two"], write=False) if "one" in words]
    assert page.keep(path, kernels[1:], ["two"], write=False)
