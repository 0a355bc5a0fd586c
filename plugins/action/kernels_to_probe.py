# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which nodes are to be probed, one for each kernel, and what the probes of the play and of earlier runs say."""

from __future__ import annotations

import datetime

from ansible.errors import AnsibleActionFail
from ansible.plugins.action import ActionBase
from ansible.utils.display import Display

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import probe_cache, probed
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.capabilities import judge_kernel
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import mapping, read, text
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.play_results import core_version, facts_of, reason_of, variables_of
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import Policy, policy_of_node, read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import in_ipvs_mode

NEVER, UNKNOWN, ALWAYS = "never", "unknown", "always"
ARGUMENTS = {
    "hosts": {"type": "list", "elements": "str", "default": []},
    "result_name": {"type": "str", "default": "audit_result"},
    "probe": {"type": "str", "choices": [NEVER, UNKNOWN, ALWAYS], "default": UNKNOWN},
    "cache": {"type": "path"},
    "known_kernels": {"type": "list", "elements": "dict", "default": []},
    "accept_inferred": {"type": "bool", "default": False},
    "before": {"type": "dict", "default": {}},
    "answers": {"type": "list", "elements": "dict", "default": []},
}

display = Display()


def _now() -> str:
    return datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


class ActionModule(ActionBase):
    """See the documentation of the module of the same name."""

    TRANSFERS_FILES = False
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        _validation, self._options = self.validate_argument_spec(argument_spec=ARGUMENTS)
        try:
            return result | self._choose(task_vars or {})
        except KnowledgeError as error:
            raise AnsibleActionFail(str(error)) from error

    def _choose(self, task_vars: dict) -> dict:
        options, before = self._options, plain(self._options["before"])
        cached = before["cached"] if "cached" in before else probe_cache.load(options["cache"]) if options["cache"] else []
        measured, not_measured = self._answered(task_vars, before)
        if options["cache"] and options["answers"] and measured and not self._task.check_mode:
            probe_cache.save(options["cache"], measured)
        rows = [*cached, *measured]
        answered = {kernel for kernel, row in probed.merged(measured if options["probe"] == ALWAYS else rows).items() if probed.is_complete(row)}
        # Probes that contradict each other are no answer, and another one would be no better.
        contradicted = probed.contradictions(rows)
        for sentence in contradicted:
            if sentence not in before.get("contradictions", []):
                display.warning(sentence)
        tried = {row["node"] for row in measured} | {entry["node"] for entry in not_measured}
        wanted = {}
        if options["probe"] != NEVER:
            policy = read_policy({"known_kernels": options["known_kernels"], "accept_inferred": options["accept_inferred"], "probes": rows})
            wanted = probed.to_ask(self._candidates(task_vars, policy), options["probe"] == ALWAYS, answered, tried)
        return {
            "changed": False, "hosts": sorted(wanted), "rows": rows, "cached": cached, "measured": measured, "not_measured": not_measured,
            "contradictions": contradicted,
        }

    def _answered(self, task_vars: dict, before: dict) -> tuple[list[dict], list[dict]]:
        """The rows of all probes of this play so far, and [{node, reason}] of those that did not tell everything."""
        measured, not_measured = list(before.get("measured", [])), list(before.get("not_measured", []))
        for answer in plain(self._options["answers"]):
            node = text(answer.get("item"))
            if node is None:
                continue
            facts = facts_of(task_vars, node, self._options["result_name"])[0]
            kernel = probed.kernel_of(read(facts))
            row, reason = None, "its facts are not there"
            if answer.get("unreachable") or not mapping(answer.get("capabilities")):
                reason = reason_of(answer, core_version(task_vars))
            elif kernel is not None:
                row, reason = probed.row_of(kernel, answer, node, _now())
            if row is not None:
                measured.append(row)
            if reason:
                not_measured.append({"node": node, "reason": reason})
        return measured, not_measured

    def _candidates(self, task_vars: dict, policy: Policy) -> list[probed.Candidate]:
        """The hosts whose kernel could be asked: kube-proxy may run in IPVS mode there, ip_vs is loaded, and it is the host itself that was read."""
        found = []
        for host in self._options["hosts"]:
            facts = facts_of(task_vars, host, self._options["result_name"])[0]
            if facts is None or facts.get("live") is not True:
                continue
            node = read(facts)
            kernel = probed.kernel_of(node)
            if kernel is None or node.ip_vs not in ("loaded", "builtin") or in_ipvs_mode(node) is False:
                continue
            try:
                own = policy_of_node(policy, plain(variables_of(task_vars, host).get("audit_capabilities")))
            except KnowledgeError:
                # The report says so.
                own = policy
            known = judge_kernel(node, own)
            found.append(probed.Candidate(host, kernel, all(entry["state"] in probed.KNOWN for entry in known.values())))
        return found
