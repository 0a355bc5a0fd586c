# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the hosts of a play have registered, on the controller: the facts in a module's result, or why there are none."""

from __future__ import annotations

from ansible.module_utils import basic

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import node_python
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import FactsError, check, mapping
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.plain import plain
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.report_text import clean

# Of one that is told whole: a sentence for each thing that is wrong after a repair.
MAXIMUM_REASON = 4000
# What core says of a module that has given no result, up to 2.18 and from 2.19 on.
_NOT_RUN = ("MODULE FAILURE", "result deserialization failed")
# What this core drives on nodes; before 2.17 it is no version but a boolean.
MINIMUM = getattr(basic, "_PY_MIN", True)


def core_version(task_vars: dict) -> str:
    """The version of ansible-core that runs, an empty text if it does not say."""
    return str(mapping(task_vars.get("ansible_version")).get("full", ""))


def variables_of(task_vars: dict, host: str):
    """The variables of one host, an empty mapping if there is no such host."""
    hostvars = task_vars.get("hostvars")
    return hostvars[host] if hostvars is not None and host in hostvars else {}


def reason_of(result, core: str, whole: bool = False) -> str:
    """Why a node could not be read, in a sentence, from what its task returned.

    core: version of ansible-core. whole: all of a long text, not its first line.
    """
    result = mapping(result)
    if not result:
        return "not contacted"
    texts = node_python.texts_of(result)
    # Where the action knew the version, it has said so in msg, or the mistake is another one.
    if not result.get("unreachable") and "node_python" not in result and node_python.says_too_old(texts):
        return node_python.sentence(None, core, MINIMUM)
    said = next((part.strip() for part in texts if part.strip()), "no answer")
    stderr = str(result.get("module_stderr") or "").strip().splitlines()
    if stderr and any(words in said.splitlines()[0] for words in _NOT_RUN):
        # The last line of a Python that gave up, or the first of what is no Python at all.
        said = stderr[-1] if "Traceback" in stderr[0] else stderr[0]
    said = said.strip().removeprefix("Task failed: ")
    return clean(said, MAXIMUM_REASON) if whole else clean(_with_its_cause(said))


def _with_its_cause(said: str) -> str:
    """The first line of what core said, and after it that of what the node itself said, which core tells further below."""
    cause = said.partition(">>> Standard Error")[2].strip()
    return " ".join([said.splitlines()[0], *cause.splitlines()[:1]])


def facts_in(result, core: str) -> tuple[dict | None, str]:
    """The facts in a result of the module ipvs_facts; none and why, if there are none. core: version of ansible-core."""
    facts = mapping(mapping(result).get("ansible_facts")).get("ipvs")
    if facts is None or mapping(result).get("unreachable"):
        return None, reason_of(result, core)
    try:
        return check(facts), ""
    except FactsError as error:
        return None, str(error)


def facts_of(task_vars: dict, host: str, name: str) -> tuple[dict | None, str]:
    """The same for what a host has registered in the variable NAME."""
    variables = variables_of(task_vars, host)
    return facts_in(plain(variables.get(name)) if name in variables else None, core_version(task_vars))
