# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The progress of long runs, as one line of a terminal. It listens to the run and changes nothing of it."""

from __future__ import annotations

DOCUMENTATION = r"""
name: progress
type: aggregate
short_description: A line that says how far a long audit is
version_added: 1.0.0
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
description:
  - While P(kubeproxy.ipvs.ipvs_facts#module) reads the nodes of a play, the last line of the terminal says how many are through, which verdict
    is the worst so far, how many could not be read, and how long the rest will take.
  - It works beside any callback that prints the run's output. The line gives way to everything that is printed, and is gone when the task is over.
  - Where stdout or stderr is not a terminal, or E(TERM) is V(dumb), nothing at all is written.
  - The worst verdict rests on the nodes' facts, the collection's knowledge, C(audit_known_kernels) and C(audit_accept_inferred). What is measured
    by a probe, and C(audit_capabilities), are known to the report alone.
requirements:
  - to be enabled, see the examples
options:
  hosts:
    description: From how many hosts of a play on the line is shown.
    type: int
    default: 50
    ini:
      - section: callback_kubeproxy_ipvs_progress
        key: hosts
    env:
      - name: KUBEPROXY_IPVS_PROGRESS_HOSTS
  interval:
    description: Seconds between two states of the line. It is not shown before the first of them is over.
    type: float
    default: 0.5
    ini:
      - section: callback_kubeproxy_ipvs_progress
        key: interval
    env:
      - name: KUBEPROXY_IPVS_PROGRESS_INTERVAL
"""

EXAMPLES = r"""
# ansible.cfg: enable it, and leave out the line that the default callback prints for each host that is well
# [defaults]
# callbacks_enabled = kubeproxy.ipvs.progress
# display_ok_hosts = false
"""

import atexit
import threading
import time

from ansible.errors import AnsibleError
from ansible.plugins.callback import CallbackBase
from ansible.template import Templar

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import KnowledgeError
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.play_results import facts_in
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import Policy, read_policy
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.progress import NOT_JUDGED, NOT_READ, Progress
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.terminal_line import TerminalLine, on_terminal
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.verdict import headline

READS = ("kubeproxy.ipvs.ipvs_facts", "ipvs_facts")
POLICY = {"known_kernels": "audit_known_kernels", "accept_inferred": "audit_accept_inferred"}
# With these every host goes its own way, so that another task says nothing of the one that reads.
UNORDERED = ("free", "host_pinned")
FASTEST = 0.05
SLOWEST = 3600.0


def _reads(task) -> bool:
    return getattr(task, "resolved_action", None) in READS or task.action in READS


def _parts(result) -> tuple:
    """(host, task, data) of a result. ansible-core 2.16 has them under names that newer ones give up."""
    if hasattr(result, "result"):
        return result.host, result.task, result.result
    return result._host, result._task, result._result


class CallbackModule(CallbackBase):
    """See its documentation. The events of a run come one at a time; the line is drawn by a thread of its own, also while no event comes."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "aggregate"
    CALLBACK_NAME = "kubeproxy.ipvs.progress"
    CALLBACK_NEEDS_ENABLED = True

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self._line = TerminalLine()
        self._play = None
        # The tasks of this play that read, by where they stand: each batch of a play runs them again.
        self._tasks: dict[str, Progress] = {}
        self._progress: Progress | None = None
        self._policy: Policy | None = None
        self._over: threading.Event | None = None

    def set_options(self, task_keys=None, var_options=None, direct=None):
        super().set_options(task_keys=task_keys, var_options=var_options, direct=direct)
        # A callback that is disabled is not called, so that a run without a terminal pays nothing for it.
        self.disabled = not on_terminal()
        if not self.disabled:
            atexit.register(self._end)

    def v2_playbook_on_play_start(self, play):
        self._end()
        if self._play is None or play._uuid != self._play._uuid:
            self._tasks = {}
        self._play = play

    def v2_playbook_on_task_start(self, task, is_conditional):
        if _reads(task):
            self._begin(task)
        elif self._play is None or str(self._play.strategy).rpartition(".")[2] not in UNORDERED:
            self._end()

    def v2_playbook_on_handler_task_start(self, task):
        self._end()

    def v2_playbook_on_stats(self, stats):
        self._end()

    def v2_runner_on_start(self, host, task):
        if self._progress is not None and self._policy is None and _reads(task):
            self._policy = self._policy_of(host, task)

    def v2_runner_on_ok(self, result):
        self._note(result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._note(result)

    def v2_runner_on_unreachable(self, result):
        self._note(result)

    def v2_runner_on_skipped(self, result):
        self._note(result, NOT_JUDGED)

    def _begin(self, task) -> None:
        if self._progress is not None and self._tasks.get(task.get_path()) is self._progress:
            return
        self._end()
        hosts = self._play.get_variable_manager().get_vars(play=self._play, include_hostvars=False)
        total, batch = len(hosts.get("ansible_play_hosts_all", ())), len(hosts.get("ansible_play_batch", ()))
        if total < self.get_option("hosts"):
            return
        progress = self._tasks.get(task.get_path())
        if progress is None or progress.complete:
            progress = self._tasks[task.get_path()] = Progress(total, time.monotonic(), whole=batch >= total)
        progress.resume(time.monotonic())
        self._progress = progress
        self._line.open()
        self._over = threading.Event()
        threading.Thread(target=self._draw, args=(progress, self._over), name="progress", daemon=True).start()

    def _draw(self, progress: Progress, over: threading.Event) -> None:
        # In this order a number that is none becomes FASTEST.
        interval = max(FASTEST, min(self.get_option("interval"), SLOWEST))
        while not over.wait(interval):
            self._line.show(progress.text(time.monotonic(), self._line.width()))

    def _end(self) -> None:
        if self._over is not None:
            self._over.set()
            self._over = None
            self._line.close()
        self._progress = self._policy = None

    def _policy_of(self, host, task) -> Policy | None:
        """What the audit was told of kernels, made out once, for the first host, as the report does. None if it cannot be made out."""
        variables = self._play.get_variable_manager().get_vars(play=self._play, host=host, task=task, include_hostvars=False)
        templar = Templar(loader=self._play.get_loader(), variables=variables)
        try:
            words = {key: plain(templar.template(variables[name])) for key, name in POLICY.items() if name in variables}
            return read_policy(words)
        except (AnsibleError, KnowledgeError):
            return None

    def _note(self, result, word: str | None = None) -> None:
        progress = self._progress
        if progress is None:
            return
        host, task, data = _parts(result)
        if not _reads(task):
            return
        progress.note(host.get_name(), word or self._word(data), time.monotonic())
        if progress.complete:
            self._end()

    def _word(self, data) -> str:
        """The verdict of a node by what its task returned. It takes half a millisecond, next to some thirty of Ansible's main process: no need to sample."""
        if "censored" in data:
            return NOT_JUDGED
        facts, _reason = facts_in(data, "")
        if facts is None:
            return NOT_READ
        return NOT_JUDGED if self._policy is None else headline(read(facts), self._policy)
