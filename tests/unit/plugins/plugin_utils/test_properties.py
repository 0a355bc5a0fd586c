# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Properties that hold for any facts whatever: an answer, never an exception, and the rules that are never broken."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st
from nodes import KERNELS

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import check, read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.findings import SEVERITIES
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plan import ACTIONS
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import markdown, table
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import VERDICTS, headline, judge, safe_conn_reuse_mode, worst

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=20,
)
RELEASES = st.sampled_from(
    [*KERNELS.values(), "4.15.0-119-generic", "4.19.91-22.al7.x86_64", "5.15.0-91-generic", "2.6.32-754.el6", "nonsense"]
) | st.from_regex(r"[1-9]\.[0-9]{1,2}\.[0-9]{1,3}(-[!-~]{0,20})?", fullmatch=True)
PROXIES = st.sampled_from(["1.10.5", "1.17.4", "1.18.1", "1.20.2", "1.20.15", "1.22.3", "1.28.5+k3s1", "1.19.16-r60", "1.40.0"]) | st.from_regex(
    r"v?1\.[0-9]{1,2}\.[0-9]{1,2}(-[a-z0-9]{1,8})?", fullmatch=True
)
VALUES = st.sampled_from([0, 1, 2, 3, -1, None])


def _or_anything(strategy):
    return strategy | ANYTHING


WRITERS = st.fixed_dictionaries(
    {
        "kind": st.sampled_from(["sysctl_file", "cron", "kube_router", "kubelet_pre_start", "unit"]),
        "path": st.sampled_from(["/etc/sysctl.d/1.conf", "/etc/cron.d/a", None]),
        "value": VALUES,
        "moments": st.lists(st.sampled_from(["reboot", "kubelet_restart", "kube_proxy_restart"]), max_size=3),
        "wins": st.lists(st.sampled_from(["reboot", "kubelet_restart", "kube_proxy_restart"]), max_size=3),
        "period_seconds": st.none() | st.integers(1, 3600),
    }
)
GUARDS = st.fixed_dictionaries({"path": st.just("/etc/x.conf"), "value": VALUES, "waits": st.booleans(), "period_seconds": st.none() | st.integers(1, 60)})
# Facts that are possible, with a pinch of nonsense in every place.
FACTS = st.fixed_dictionaries(
    {
        "schema": st.just(1),
        "kernel": _or_anything(
            st.fixed_dictionaries(
                {"release": _or_anything(RELEASES), "ip_vs": st.sampled_from(["loaded", "builtin", "absent", None])},
                optional={"probe": ANYTHING, "changelog": ANYTHING, "symbols": ANYTHING, "version": ANYTHING},
            )
        ),
        "sysctl": _or_anything(
            st.fixed_dictionaries(
                {
                    "state": st.sampled_from(["present", "absent", "unreadable"]),
                    "conn_reuse_mode": _or_anything(VALUES),
                    "conntrack": VALUES,
                    "expire_nodest_conn": VALUES,
                    "absent": st.sampled_from([[], ["conn_reuse_mode"]]),
                }
            )
        ),
        "kube_proxy": _or_anything(
            st.fixed_dictionaries(
                {
                    "mode": _or_anything(st.sampled_from(["ipvs", "iptables", "nftables", None])),
                    "version": _or_anything(PROXIES),
                    "form": _or_anything(st.sampled_from(["systemd", "daemonset", "k3s", "rke2", "none", None])),
                },
                optional={
                    "mode_effective": st.sampled_from(["ipvs", "iptables", None]),
                    "mode_configured": st.sampled_from(["ipvs", None]),
                    "others": ANYTHING,
                    "start_time": ANYTHING,
                    "config_modified": ANYTHING,
                },
            )
        ),
        "writers": _or_anything(st.lists(_or_anything(WRITERS), max_size=3)),
        "hold": _or_anything(st.fixed_dictionaries({"guards": _or_anything(st.lists(_or_anything(GUARDS), max_size=2))})),
    },
    optional={"table": ANYTHING, "pressure": ANYTHING, "unreadable": ANYTHING},
)
MANY = settings(max_examples=250)


@MANY
@given(ANYTHING | FACTS)
def test_any_facts_give_a_complete_verdict(facts):
    verdict = judge(facts)
    assert verdict["verdict"] in VERDICTS
    assert verdict["verdict"] == worst(entry["verdict"] for entry in verdict["moments"].values())
    assert verdict["plan"]["action"] in ACTIONS
    assert all(finding["severity"] in SEVERITIES and finding["text"] for finding in verdict["findings"])
    assert list(verdict["moments"]) == ["now", "kube_proxy_restart", "kubelet_restart", "reboot"]


@MANY
@given(ANYTHING | FACTS)
def test_the_headline_alone_is_the_same(facts):
    assert headline(read(facts), read_policy(None)) == judge(facts)["verdict"]


@MANY
@given(FACTS)
def test_one_is_never_written_without_evidence_nor_zero_against_it(facts):
    """Rule 1."""
    verdict, value = judge(facts), safe_conn_reuse_mode(facts)
    reuse = verdict["capabilities"]["reuse_without_drop"]
    for written in (verdict["plan"]["value"] if verdict["plan"]["action"] in ("set", "hold") else None, value):
        if written == 1:
            assert reuse["state"] == "yes" and reuse["evidence"] and reuse["confidence"] != "inferred"
            assert "reuse_without_drop" in (verdict["plan"]["rests_on"] or ["reuse_without_drop"])
        if written == 0:
            assert reuse["state"] == "no"
        assert written in (None, 0, 1)


@MANY
@given(FACTS)
def test_nothing_is_written_on_unknown(facts):
    """Rule 2."""
    verdict = judge(facts)
    if verdict["capabilities"]["reuse_without_drop"]["state"] == "unknown":
        assert verdict["plan"]["action"] not in ("set", "hold")
        assert safe_conn_reuse_mode(facts) is None


@MANY
@given(FACTS)
def test_a_node_that_is_not_in_ipvs_mode_is_left_alone(facts):
    """Rule 3."""
    proxy = facts["kube_proxy"]
    if not isinstance(proxy, dict) or proxy.get("mode") != "ipvs":
        verdict = judge(facts)
        assert verdict["plan"]["action"] == "none"
        assert safe_conn_reuse_mode(facts) is None
        assert verdict["verdict"] in ("not_applicable", "unknown")


@MANY
@given(FACTS)
def test_safe_means_safe(facts):
    """`safe` is only said of a value that is not 0, on a kernel with the fix, or where conntrack is off."""
    verdict = judge(facts)
    for moment, entry in verdict["moments"].items():
        if entry["verdict"] == "safe":
            assert entry["value"] not in (0, None)
            assert verdict["capabilities"]["reuse_without_drop"]["state"] == "yes" or moment in ("now", "kubelet_restart")


@MANY
@given(FACTS)
def test_json_round_trip_changes_nothing(facts):
    verdict = judge(facts)
    assert json.loads(json.dumps(verdict)) == verdict
    assert judge(json.loads(json.dumps(facts, allow_nan=True))) == verdict


@MANY
@given(FACTS, st.none() | PROXIES, st.none() | RELEASES.filter(lambda release: release[0].isdigit()))
def test_any_forecast_is_complete(facts, kube_proxy, kernel):
    result = forecast(facts, kube_proxy=kube_proxy, kernel=kernel)
    assert list(result["moments"]) == ["now", "upgrade", "kube_proxy_restart", "kubelet_restart", "reboot"]
    assert json.loads(json.dumps(result)) == result


@settings(max_examples=60)
@given(st.lists(st.tuples(st.text(max_size=30), FACTS), max_size=4), st.booleans())
def test_any_report_follows_its_schema_and_can_be_printed(nodes, planned):
    entries = [node_entry(name, facts, None, forecast(facts, "1.30.4", "6.1.0") if planned else None) for name, facts in nodes]
    report = {"collection": "x", "generated_at": "y", **fleet(entries, [{"name": "a", "reason": "b"}], [{"path": "p", "reason": "r"}])}
    check_document("report", report)
    text = table(report)
    assert not [character for character in text if ord(character) < 32 and character != "\n"]
    assert "<" not in markdown(report)


@MANY
@given(ANYTHING)
def test_recorded_facts_are_refused_with_a_sentence_or_taken(facts):
    try:
        assert isinstance(check(facts), dict)
    except ValueError as error:
        assert str(error)
