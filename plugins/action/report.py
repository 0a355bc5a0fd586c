# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The one controller task of an audit: the facts of the play's nodes become the report, its files and its table."""

from __future__ import annotations

import datetime
import json
import os

from ansible import constants
from ansible.errors import AnsibleActionFail, AnsibleError
from ansible.plugins.action import ActionBase
from ansible.release import __version__ as CORE
from ansible.utils.display import Display
from ansible.utils.vars import load_extra_vars

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import (
    core_support,
    fail_on,
    forecast,
    misspelt,
    probe_cache,
    recorded_facts,
    remediation,
    report_drift,
    report_file,
    report_formats,
    report_merge,
    report_text,
    waivers,
)
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.collection_version import collection_version
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import FactsError, mapping, sequence, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fleet import fleet, node_entry
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError, check_document, known_kernels
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.node_objects import facts_of_inventory_host
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.play_results import MINIMUM, core_version, facts_in, facts_of, variables_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import Policy, policy_of_node, read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.probed import with_probe
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.replaced_file import make_directory, replace_file, why_not_writable

ARGUMENTS = {
    "check_only": {"type": "bool", "default": False},
    "hosts": {"type": "list", "elements": "str", "default": []},
    "source": {"type": "str", "default": "node", "choices": ["node", "api"]},
    "result_name": {"type": "str", "default": "audit_result"},
    "outcome_name": {"type": "str", "default": ""},
    "after_result_name": {"type": "str", "default": ""},
    "facts_files": {"type": "list", "elements": "path", "default": []},
    "report_dir": {"type": "path", "default": "ipvs-report"},
    "formats": {"type": "list", "elements": "str", "default": list(report_formats.DEFAULT)},
    "known_kernels": {"type": "list", "elements": "dict", "default": []},
    "accept_inferred": {"type": "bool", "default": False},
    "probes": {"type": "list", "elements": "dict", "default": []},
    "not_probed": {"type": "list", "elements": "dict", "default": []},
    "probe_cache": {"type": "path"},
    "target_kube_proxy": {"type": "str"},
    "target_kernel": {"type": "str"},
    "fail_on": {"type": "raw"},
    "query": {"type": "str"},
    "report_name": {"type": "str"},
    "merge": {"type": "list", "elements": "path"},
    "baseline": {"type": "path"},
    "waivers": {"type": "path"},
    "write": {"type": "bool", "default": True},
}
WORD = ("known_kernels", "accept_inferred", "probes")
TARGETS = {"target_kube_proxy": "audit_target_kube_proxy", "target_kernel": "audit_target_kernel"}

display = Display()


class VariableError(ValueError):
    """A host's variable that cannot be made out. The text says why."""


def _variable(variables, name: str):
    """A host's variable as plain values; none if there is none or if it cannot be made out."""
    try:
        return plain(variables.get(name)) if name and name in variables else None
    except AnsibleError as error:
        return f"a variable that cannot be made out ({error})"


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, self._options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        options = self._options
        self._check_core()
        try:
            report_formats.check_formats(options["formats"])
            known_kernels(options["known_kernels"])
            if options["probe_cache"]:
                probe_cache.load(options["probe_cache"])
            forecast.check_target("audit_target_kube_proxy", options["target_kube_proxy"])
            forecast.check_target("audit_target_kernel", options["target_kernel"])
            fail_on.check_fail_on(options["fail_on"])
            if options["query"]:
                fail_on.compile_query(options["query"])
            report_merge.check_name(options["report_name"])
            self._baseline = self._read_baseline(options["baseline"])
            self._check_drift()
            self._waivers = self._read_waivers(options["waivers"])
        except (KnowledgeError, forecast.TargetError, fail_on.QueryError, report_formats.FormatError, report_file.ReportError, waivers.WaiverError) as error:
            # The sentence is whole; core would add those of what it came from.
            raise AnsibleActionFail(str(error)) from None
        if options["merge"] is not None:
            return result | self._merge(task_vars or {})
        if options["check_only"]:
            if options["source"] != "api":
                self._say_what_python(task_vars or {})
            self._check_directory()
            for name, meant in misspelt.misspelt(load_extra_vars(self._loader)).items():
                display.warning(f"{name} is no variable of the audit, and nothing reads it: is {meant} meant?")
            return result | {"changed": False}
        return result | self._report(task_vars or {})

    def _say_what_python(self, task_vars: dict) -> None:
        """What ansible-core cannot do on an old node it says with a SyntaxError there; say it in a sentence before."""
        if isinstance(MINIMUM, tuple) and MINIMUM > (3, 6):
            display.display(
                (
                    f"ansible-core {core_version(task_vars)} reads nodes with Python {MINIMUM[0]}.{MINIMUM[1]} or newer. Older nodes are "
                    f"listed as not read: audit them with ansible-core 2.16."
                )
            )

    def _check_directory(self) -> None:
        """What is read of thousands of nodes should not be lost because it cannot be written."""
        directory = os.path.abspath(self._options["report_dir"])
        reason = why_not_writable(directory)
        if reason and not self._task.check_mode:
            raise AnsibleActionFail(f"the report cannot be written into {directory}: {reason}")

    def _check_core(self) -> None:
        """Stop where meta/runtime.yml does not take this ansible-core: of itself core warns and goes on, unless the user has said to ignore it."""
        if constants.COLLECTIONS_ON_ANSIBLE_VERSION_MISMATCH == "ignore":
            return
        sentence = core_support.unsupported(CORE)
        if sentence:
            raise AnsibleActionFail(sentence)

    def _report(self, task_vars: dict) -> dict:
        options = self._options
        self._errors, self._unreachable, self._remediation = [], [], {}
        self._word = read_policy({key: options[key] for key in WORD})
        self._errors += [{"path": f"probe of {item.get('node')}", "reason": str(item.get("reason"))} for item in plain(options["not_probed"])]
        for option, name in TARGETS.items():
            options[option] = self._of_all_hosts(task_vars, name, options[option])
        nodes = self._live_nodes(task_vars)
        nodes += self._recorded_nodes({node["entry"]["name"] for node in nodes} | set(self._remediation))
        remediated = self._remediation if options["outcome_name"] else None
        report = fleet([node["entry"] for node in nodes], self._unreachable, self._errors, remediated)
        made = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
        report = {"schema": report.pop("schema"), "collection": f"kubeproxy.ipvs {collection_version()}", "generated_at": made, **report}
        report = report_merge.labelled(report, report_merge.check_name(options["report_name"]))
        return self._deliver(report, nodes, task_vars)

    def _merge(self, task_vars: dict) -> dict:
        """Several reports as one. A report that cannot be used is an error that names it: one that is left out would look like nodes that are well."""
        paths = self._options["merge"]
        try:
            found = report_file.find(paths)
            target = os.path.join(self._options["report_dir"], report_file.NAME)
            if any(os.path.realpath(path) == os.path.realpath(target) for path in found):
                raise AnsibleActionFail(f"{target} is one of the reports to merge, and would be replaced: choose another merge_report_dir")
            report = report_merge.merge(report_file.load_all(paths))
        except (report_file.ReportError, OSError) as error:
            raise AnsibleActionFail(f"merge_reports: {error}") from error
        return self._deliver(report, None, task_vars)

    def _read_baseline(self, path: str | None) -> dict | None:
        """The earlier report to compare with, read before anything is written: it may stand where this one will. Raises ReportError."""
        try:
            return report_file.load(path) if path else None
        except report_file.ReportError as error:
            raise report_file.ReportError(f"audit_baseline: {error}") from error

    def _check_drift(self) -> None:
        """An expression about what has changed is never true where there is nothing to compare with. Raises QueryError."""
        queries = {"audit_fail_on": fail_on.check_fail_on(self._options["fail_on"]), "audit_query": self._options["query"]}
        for name, query in queries.items():
            if self._baseline is None and isinstance(query, str) and query and "drift" in fail_on.fields_of_report(fail_on.compile_query(query).parsed):
                raise fail_on.QueryError(f"{name}: {query!r} asks for drift, which there is with audit_baseline alone")

    def _read_waivers(self, path: str | None) -> list[waivers.Waiver] | None:
        """What the owner accepts; None if no file is named. Raises WaiverError."""
        try:
            return waivers.load(path) if path else None
        except waivers.WaiverError as error:
            raise waivers.WaiverError(f"audit_waivers: {error}") from error

    def _compared(self, report: dict, task_vars: dict) -> dict:
        """REPORT with what the owner has waived marked, and with what has changed since the baseline."""
        if self._waivers is not None:
            today = datetime.datetime.now(datetime.timezone.utc).date()
            report = waivers.apply(report, self._waivers, mapping(plain(task_vars.get("groups"))), today)
        return report if self._baseline is None else {**report, "drift": report_drift.drift(self._baseline, report)}

    def _deliver(self, report: dict, nodes: list[dict] | None, task_vars: dict) -> dict:
        """Print REPORT, write it, and see what it says to fail_on. nodes: the facts of its nodes, None if they are not at hand."""
        options = self._options
        report = self._compared(report, task_vars)
        if nodes is not None:
            by_name = {entry["name"]: entry for entry in report["nodes"]}
            nodes = [{**node, "entry": by_name[node["entry"]["name"]]} for node in nodes]
        self._check_report(report)
        answer = {"changed": False, "summary": report["summary"], "report_dir": None}
        if "remediation" in report["summary"]:
            answer["remediation"] = report["summary"]["remediation"]
        if "drift" in report:
            answer["drift"] = report["drift"]["summary"]
        display.display("\n" + report_text.table(report) + "\n")
        if options["write"] and not self._task.check_mode:
            answer["report_dir"], files = self._write_files(report, nodes, report["generated_at"])
            each = "" if nodes is None else ", one file a node in nodes/"
            display.display(f"\nReport: {os.path.join(answer['report_dir'], files[0])}{report_formats.others(files)}{each}\n")
        if options["query"]:
            try:
                answer["query"] = fail_on.evaluate(options["query"], report)
            except fail_on.QueryError as error:
                raise AnsibleActionFail(f"audit_query: {error}") from error
            display.display(json.dumps(answer["query"], indent=2))
        try:
            sentence = fail_on.failure(options["fail_on"], report)
        except fail_on.QueryError as error:
            raise AnsibleActionFail(f"audit_fail_on: {error}") from error
        return answer | ({"failed": True, "msg": sentence} if sentence else {})

    def _live_nodes(self, task_vars: dict) -> list[dict]:
        nodes: list[dict] = []
        for host in self._options["hosts"]:
            variables = variables_of(task_vars, host)
            origin = None
            if self._options["source"] == "api":
                facts, reason, origin = facts_of_inventory_host(variables)
            else:
                facts, reason = facts_of(task_vars, host, self._options["result_name"])
            if self._options["outcome_name"]:
                self._remediated(nodes, host, variables, (facts, reason), core_version(task_vars))
            elif facts is None:
                self._unreachable.append({"name": host, "reason": reason})
            else:
                self._judge(nodes, host, facts, variables, origin, self._policy(host, variables))
        return nodes

    def _remediated(self, nodes: list[dict], host: str, variables, read_before: tuple[dict | None, str], core: str) -> None:
        """Judge a host of a repair as it was before and as it is after, and keep what was done to it for the report."""
        outcome = _variable(variables, self._options["outcome_name"])
        after = mapping(_variable(variables, self._options["after_result_name"]))
        # A task that was skipped registers a result, too.
        if after and not after.get("skipped"):
            facts, reason = facts_in(after, core)
        elif remediation.was_touched(outcome):
            facts, reason = None, remediation.NOT_READ_AFTER
        else:
            facts, reason = read_before
        record = {"outcome": outcome, "before": None, "before_not_read": read_before[1], "after_not_read": reason if facts is None else None}
        self._remediation[host] = record
        if read_before[0] is None and facts is None:
            self._unreachable.append({"name": host, "reason": read_before[1]})
            return
        policy = self._policy(host, variables)
        if facts is not None:
            self._judge(nodes, host, facts, variables, None, policy)
        if facts is read_before[0]:
            record["before"] = nodes[-1]["entry"]
        elif read_before[0] is not None:
            record["before"] = node_entry(host, read_before[0], policy)
        if facts is None:
            nodes.append({"entry": remediation.not_read_entry(record["before"], reason), "facts": read_before[0], "before": True})

    def _recorded_nodes(self, taken: set[str]) -> list[dict]:
        nodes: list[dict] = []
        for path in recorded_facts.find(self._options["facts_files"]):
            try:
                name, origin, facts = recorded_facts.load(path)
            except FactsError as error:
                self._errors.append({"path": path, "reason": str(error)})
                continue
            unique, number = name, 2
            while unique in taken:
                unique, number = f"{name} ({number})", number + 1
            taken.add(unique)
            self._judge(nodes, unique, facts, {}, origin, self._policy(unique, {}))
        return nodes

    def _of_all_hosts(self, task_vars: dict, name: str, value):
        """VALUE as it applies to nodes without a variable of their own.

        This task runs once, with the variables of the first host: what stands in that host's inventory is not meant for others.
        """
        first = variables_of(task_vars, task_vars.get("inventory_hostname"))
        return value if name in load_extra_vars(self._loader) or name not in first else None

    def _own(self, variables, name: str, default):
        """An audit variable of one node (from its inventory), or what the role was given for all."""
        if name not in variables:
            return default
        try:
            return plain(variables.get(name))
        except AnsibleError as error:
            raise VariableError(f"a variable that cannot be made out: {error}") from error

    def _policy(self, name: str, variables) -> Policy:
        """What the owner says of one node's kernel, or of all; a word that cannot be used is an error of the report."""
        try:
            return policy_of_node(self._word, self._own(variables, "audit_capabilities", None))
        except (KnowledgeError, VariableError) as error:
            self._errors.append({"path": f"audit_capabilities of {name}", "reason": str(error)})
            return self._word

    def _judge(self, nodes: list[dict], name: str, facts: dict, variables, origin: str | None, policy: Policy) -> None:
        options = self._options
        planned = None
        try:
            targets = {option.removeprefix("target_"): self._own(variables, variable, options[option]) for option, variable in TARGETS.items()}
            if any(targets.values()):
                planned = forecast.forecast(facts, **targets, policy=policy)
        except (forecast.TargetError, VariableError) as error:
            self._errors.append({"path": f"target of {name}", "reason": str(error)})
        nodes.append({"entry": node_entry(name, facts, policy, planned, origin), "facts": with_probe(facts, policy.probes)})

    def _check_report(self, report: dict) -> None:
        try:
            check_document("report", report)
        except KnowledgeError as error:
            display.warning(f"the report was not checked against its schema, or does not follow it: {error}")

    def _write_files(self, report: dict, nodes: list[dict] | None, made: str) -> tuple[str, list[str]]:
        directory = os.path.abspath(self._options["report_dir"])
        try:
            make_directory(directory)
            if nodes is not None:
                self._write_nodes(directory, nodes, made)
            files = report_formats.write_files(report, directory, self._options["formats"])
        except OSError as error:
            raise AnsibleActionFail(f"the report cannot be written into {directory}: {error.strerror or error}") from error
        return directory, files

    def _write_nodes(self, directory: str, nodes: list[dict], made: str) -> None:
        """One file of facts and verdict a node."""
        own, written = os.path.join(directory, "nodes"), set()
        make_directory(own)
        for node in nodes:
            entry, name = node["entry"], recorded_facts.file_name(node["entry"]["name"])
            read = "read, before the change," if node.get("before") else "read"
            origin = entry.get("origin") or f"{read} from {entry['name']} on {made}"
            document = {"name": entry["name"], "origin": origin, "verdict": entry, "ansible_facts": {"ipvs": node["facts"]}}
            replace_file(os.path.join(own, name), json.dumps(document, indent=1) + "\n")
            written.add(name)
        self._remove_former(directory, own, written)

    def _remove_former(self, directory: str, own: str, written: set[str]) -> None:
        """Take away the files of nodes that the report before named and this one does not; nothing else is touched."""
        try:
            with open(os.path.join(directory, "report.json"), encoding="utf-8") as handle:
                former = mapping(json.load(handle))
        except (OSError, ValueError):
            return
        for node in sequence(former.get("nodes")):
            name = recorded_facts.file_name(text(mapping(node).get("name")) or "")
            path = os.path.join(own, name)
            if name not in written and os.path.isfile(path):
                os.unlink(path)
