# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parsers of the controller: what people, nodes, earlier runs and API servers hand it. Each is a function of one input."""

from __future__ import annotations

import csv
import datetime
import io
import json
import os
import tempfile
from xml.etree import ElementTree

import yaml
from node_parsers import claim

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import (
    document_file,
    fail_on,
    hold_daemonset,
    host_patterns,
    kube_proxy_versions,
    mode_owners,
    node_lists,
    plain,
    probed,
    recorded_facts,
    release,
    remediation,
    report_drift,
    report_file,
    report_merge,
    waivers,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.daemonset_kube_proxy import config_map_of, kube_proxy_on_node, read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import FactsError, read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.forecast import TargetError, forecast
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.holding import holding
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError, check_document
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.kubernetes_api import Answer, _json
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_configmap import configmap_change
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.mode_switch import mode_switch
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_objects import NodeObjectError, facts_of_inventory_host, host_variables, record_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_formats import FORMATS
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import table
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import judge

HEAD = {"collection": "kubeproxy.ipvs 0.1.0", "generated_at": "2026-01-02T03:04:05+00:00"}
TODAY = datetime.date(2026, 1, 2)


def _file(content: str | bytes) -> str:
    directory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else tempfile.gettempdir()
    path = os.path.join(directory, f"kubeproxy-ipvs-fuzz-{os.getpid()}.json")
    with open(path, "wb") as handle:
        handle.write(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    return path


def _loaded(load, content):
    path = _file(content)
    try:
        return load(path)
    finally:
        os.unlink(path)


def _report(nodes: list[dict], **more) -> dict:
    made = fleet(nodes, **more)
    return {"schema": made.pop("schema"), **HEAD, **made}


def _fleet_report(document) -> dict:
    return _report([node_entry("node-1", document)])


def texts_of(report: dict) -> None:
    """Every file that is made of a report can be made, written and read."""
    written = {name: entry.make(report) for name, entry in FORMATS.items()}
    for name, content in written.items():
        claim(isinstance(content, str), f"{name} is no text")
        content.encode("utf-8")
    json.loads(written["json"])
    json.loads(written["sarif"])
    ElementTree.fromstring(written["junit"].encode())
    rows = list(csv.reader(io.StringIO(written["csv"])))
    claim(len({len(row) for row in rows}) == 1, "rows of csv of different lengths")
    claim(not any(cell[:1] in ("=", "+", "@", "\t", "\r") for row in rows for cell in row), "a formula in csv")
    claim("<script>alert" not in written["html"] and "<script>alert" not in written["md"], "mark-up of a node")
    shown = table(report)
    claim(not [character for character in shown if ord(character) < 32 and character != "\n"], "a control character for a terminal")
    for line in written["prom"].splitlines():
        claim(line.startswith("#") or line.rpartition(" ")[2].replace(".", "").replace("-", "").isdigit(), f"not a sample: {line[:80]}")


def facts(document):
    """Facts from wherever they come: judged, forecast, and told in every file of a report."""
    verdict = judge(document)
    entry = node_entry("node-1", document, None, forecast(document, "1.30.4", "6.1.0"), "somewhere")
    report = _report([entry], unreachable=[{"name": "b", "reason": "c"}])
    check_document("report", json.loads(json.dumps(report)))
    texts_of(report)
    held = holding(document)
    json.dumps(held)
    probed.kernel_of(read(document))
    return verdict


def facts_file(content):
    """A file of audit_facts_files."""
    name, origin, found = _loaded(recorded_facts.load, content)
    claim(recorded_facts.file_name(name).endswith(".json"), "no name of a file")
    texts_of(_report([node_entry(name, found, None, None, origin)]))


def strings(text):
    """Strings of kernels and versions of kube-proxy, in facts and asked for in a forecast."""
    found = [release.version(text), release.leading_version(text), release.vendor_suffix(text), release.build_date(text)]
    kernel = release.leading_version("5.10.0")
    started = kube_proxy_versions.at_start(text, kernel)
    found += [started, kube_proxy_versions.upstream_class(text), kube_proxy_versions.bugs(text, kernel), kube_proxy_versions.nftables_possible(text, kernel)]
    found += [kube_proxy_versions.removal_plan(text), kube_proxy_versions.vendor_build(text)]
    node = {
        "schema": 1,
        "kernel": {"release": text, "version": text, "ip_vs": "loaded"},
        "kube_proxy": {"mode": "ipvs", "form": "systemd", "version": text},
        "sysctl": {"state": "present", "conn_reuse_mode": 1, "conntrack": 1},
    }
    verdict = judge(node)
    if verdict["capabilities"]["reuse_without_drop"]["state"] != "yes":
        claim(verdict["plan"]["action"] not in ("set", "hold") or verdict["plan"]["value"] == 0, "1 without evidence")
    texts_of(_fleet_report(node))
    forecast(node, text, text)


def report_documents(document):
    """report.json of an earlier run: checked, merged, compared, waived, and written anew."""
    report = report_file.check(document)
    other = report_file.check(json.loads(EXAMPLE_REPORT[0])) if EXAMPLE_REPORT else report
    merged = report_merge.merge([report, other])
    check_document("report", json.loads(json.dumps(merged)))
    for one, two in ((other, report), (report, merged)):
        compared = {**two, "drift": report_drift.drift(one, two)}
        check_document("report", json.loads(json.dumps(compared)))
        texts_of(compared)
    waived = waivers.apply(report, waivers.check([{"verdict": "syn_delay", "hosts": "*", "reason": "r", "until": "2027-01-01"}]), {}, TODAY)
    check_document("report", json.loads(json.dumps(waived)))
    texts_of(waived)
    fail_on.failure(["syn_delay", "unreachable"], waived)


EXAMPLE_REPORT: list[str] = []


def report_files(content):
    """A file that is said to be a report."""
    texts_of(_loaded(report_file.load, content))


def waiver_files(content):
    """A file of waivers."""
    found = _loaded(waivers.load, content)
    if EXAMPLE_REPORT:
        waived = waivers.apply(json.loads(EXAMPLE_REPORT[0]), found, {"web": ["kubeadm-debian12"]}, TODAY)
        json.dumps(waived)


def waiver_rows(document):
    """Waivers as a playbook has them: of each that cannot be used its number is told."""
    try:
        waivers.check(document)
    except waivers.WaiverError as error:
        claim(not isinstance(document, list) or "waiver " in str(error), f"the waiver is not named: {error}")
        raise


def policies(document):
    """An owner's policy: of a row that cannot be used the name is told."""
    try:
        policy = read_policy(document)
    except KnowledgeError as error:
        claim(str(error).strip() != "", "no words")
        raise
    for example in ("4.19.0-13-amd64", "5.10.0-30-amd64", "4.18.0-147.5.1.6.h998.eulerosv2r9.x86_64"):
        judge({"schema": 1, "kernel": {"release": example, "version": "#1 SMP Debian 4.19.160-2 (2020-11-28)"}, "kube_proxy": {"mode": "ipvs"}}, policy)


def policy_files(content):
    """Policy written as YAML."""
    policies(document_file.load_document(path, "YAML") if (path := _file(content)) else None)


def probe_files(content):
    """The file that keeps what probes have measured."""
    rows = probed.read_document(_loaded(document_file.load_document, content))
    json.dumps(probed.document_of(probed.worth_keeping(rows)))
    probed.contradictions(rows)
    read_policy({"probes": rows})


def node_files(content):
    """What `kubectl get nodes -o json` has written."""
    found = _loaded(node_lists.read_objects, content)
    node_objects([*found["Node"][:3], *found["DaemonSet"][:1], *found["ConfigMap"][:1]])


def node_objects(document):
    """Node objects, a DaemonSet and a ConfigMap, as an API server answers."""
    items = [plain.plain(item) for item in document] if isinstance(document, list) else [document]
    sets = [item for item in items if isinstance(item, dict) and item.get("kind") == "DaemonSet"]
    maps = [item for item in items if isinstance(item, dict) and item.get("kind") == "ConfigMap"]
    cluster = read_kube_proxy(sets[0] if sets else None, maps[0] if maps else None)
    if sets:
        config_map_of(sets[0])
    json.dumps(hold_daemonset.decide(sets, 1, ["node-1"], "script"))
    json.dumps(configmap_change(maps, "nftables"))
    json.dumps(configmap_change(maps, "nftables", "absent"))
    for item in items:
        try:
            record = record_of(item)
        except NodeObjectError as error:
            claim(str(error).strip() != "", "no words")
            continue
        kube_proxy_on_node(cluster, record["name"], record["labels"], record["taints"])
        variable = host_variables(record, "c", cluster, "s", True)
        found, _why, origin = facts_of_inventory_host({"kube_node": variable})
        texts_of(_report([node_entry(record["name"], found, None, None, origin)]))


def api_answers(content):
    """The body of an answer of an API server."""
    document = _json(content)
    claim(document is None or isinstance(Answer(200, document).words, str), "no words")


def outcomes(document):
    """What a repair says of a node, and what the module kube_proxy_mode has returned."""
    outcome = remediation.read_outcome(document)
    json.dumps(outcome)
    entry = node_entry("node-1", {"schema": 1, "kernel": {"release": "5.10.0"}})
    record = {"outcome": document, "before": entry, "before_not_read": None, "after_not_read": None}
    report = _report([entry], remediation={"node-1": record, "node-2": document if isinstance(document, dict) else {}})
    check_document("report", json.loads(json.dumps(report)))
    texts_of(report)
    facts_of_node = {"schema": 1, "kernel": {"release": "5.10.0"}, "kube_proxy": {"mode": "ipvs", "form": "systemd"}}
    json.dumps(mode_switch(facts_of_node, document, "iptables", recorded=document))
    mode_owners.refusal_of(document if isinstance(document, dict) else {})


def queries(text):
    """audit_fail_on and expressions over a report."""
    report = json.loads(EXAMPLE_REPORT[0]) if EXAMPLE_REPORT else _fleet_report({})
    fail_on.failure(text, report)
    fail_on.failure([word.strip() for word in text.split(",")], report)


def patterns(text):
    """Patterns of hosts."""
    wrong = host_patterns.check(text)
    if wrong is None:
        host_patterns.matching([text], ["a", "b-1", "web-2"], {"web": ["web-2"]})


def yaml_alike(text):
    """What the node's own YAML parser takes, a library that knows all of YAML takes too, and understands alike."""
    from ansible_collections.kubeproxy.ipvs.plugins.module_utils import yaml_subset

    ours = yaml_subset.parse_documents(text)
    if any(character in text for character in "\t\r\x85\u2028\u2029\ufeff") or "%" in text:
        return
    try:
        theirs = list(yaml.safe_load_all(text))
    except (yaml.YAMLError, ValueError, AttributeError, KeyError, TypeError, RecursionError):
        return
    ours = [document for document in ours if document is not None]
    theirs = [document for document in theirs if document is not None]
    if "kind: KubeProxyConfiguration" in text and all(isinstance(document, dict) for document in ours + theirs):
        modes = [[document.get("mode") for document in found if isinstance(document.get("mode"), (str, type(None)))] for found in (ours, theirs)]
        claim(modes[0] == modes[1], f"modes {modes[0]!r} and {modes[1]!r}")


CONTROLLER_PARSERS = {
    "judged_facts": (facts, "json", ()),
    "facts_file": (facts_file, "bytes", (FactsError,)),
    "version_strings": (strings, "text", (TargetError,)),
    "reports": (report_documents, "json", (report_file.ReportError,)),
    "report_files": (report_files, "bytes", (report_file.ReportError,)),
    "waiver_files": (waiver_files, "bytes", (waivers.WaiverError,)),
    "waiver_rows": (waiver_rows, "json", (waivers.WaiverError,)),
    "policies": (policies, "json", (KnowledgeError,)),
    "policy_files": (policy_files, "bytes", (KnowledgeError, document_file.DocumentError)),
    "probe_files": (probe_files, "bytes", (KnowledgeError, document_file.DocumentError)),
    "node_list_files": (node_files, "bytes", (node_lists.NodeListError,)),
    "api_objects": (node_objects, "json", (hold_daemonset.HoldDaemonsetError,)),
    "api_answers": (api_answers, "bytes", ()),
    "outcomes": (outcomes, "json", ()),
    "queries": (queries, "text", (fail_on.QueryError,)),
    "host_patterns": (patterns, "text", ()),
    "yaml_as_others_read_it": (yaml_alike, "text", (ValueError,)),
}
