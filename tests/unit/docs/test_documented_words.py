# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the pages tell people to type: programs with their options, playbooks, targets of make, variables and their values, plugins, all of which exist.

Those that can run here are run by tests/unit/playbooks/test_documented_commands.py.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess

import documented
import pytest
import yaml
from ansible.cli.playbook import PlaybookCLI
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.fail_on import check_fail_on, compile_query
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import known_kernels

ROOT = documented.ROOT
COMMANDS = documented.commands()
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in documented.PAGES}
PREFIXES = "audit|remediate|verify|rollback|merge|conn_reuse_mode|kube_proxy_mode"
VARIABLE = re.compile(rf"(?<![\w.])(?:{PREFIXES})_[a-z][a-z_]*[a-z](?!\w|\()")


def names(folder, suffix):
    """The names of the files of a folder of the collection."""
    return {path.name.removesuffix(suffix) for path in (ROOT / folder).glob(f"*{suffix}")}


def options(role):
    """The options of a role's argument specification."""
    return yaml.safe_load((ROOT / "roles" / role / "meta" / "argument_specs.yml").read_text(encoding="utf-8"))["argument_specs"]["main"]["options"]


ROLES = [path.name for path in sorted((ROOT / "roles").iterdir())]
OPTIONS = {name: option for role in ROLES for name, option in options(role).items()}
CHECKED = yaml.safe_load((ROOT / "playbooks" / "tasks" / "remediate_check.yml").read_text(encoding="utf-8"))
OPTIONS.update(CHECKED[0]["ansible.builtin.validate_argument_spec"]["argument_spec"])
# What playbooks take beside: a variable that has a default where it is used, or that is asserted to be there.
PLAYBOOKS = "\n".join(path.read_text(encoding="utf-8") for path in sorted((ROOT / "playbooks").rglob("*.yml")))
TAKEN = set(re.findall(rf"\b((?:{PREFIXES})_\w+) \| default\(", PLAYBOOKS)) | {"audit_capabilities"}
# What a role tells the play that ran it.
GIVEN = {f"{role}_result" for role in ROLES}
PLUGINS = {kind: names(f"plugins/{kind}", ".py") for kind in ("modules", "filter", "inventory", "callback", "action")}


def test_variables_are_collected():
    assert {"audit_probe", "conn_reuse_mode_force", "kube_proxy_mode_drain_seconds", "remediate_unfixed"} <= set(OPTIONS)
    assert {"merge_reports", "verify_serial", "rollback_hosts", "audit_hosts"} <= TAKEN
    assert len(COMMANDS) > 50


@pytest.mark.parametrize("page", TEXTS)
def test_every_variable_on_a_page_exists(page):
    known = set(OPTIONS) | TAKEN | GIVEN | set.union(*PLUGINS.values()) | set(ROLES)
    named = {word for _language, text in documented.code(ROOT / page) for word in VARIABLE.findall(text)}
    assert sorted(named - known) == []


@pytest.mark.parametrize("page", TEXTS)
def test_everything_that_is_called_by_its_full_name_exists(page):
    known = names("playbooks", ".yml") | set(ROLES) | set.union(*PLUGINS.values())
    pieces = [text for _language, text in documented.code(ROOT / page)]
    assert sorted({name for text in pieces for name in re.findall(r"(?<![/\w])kubeproxy\.ipvs\.([a-z_]+)", text)} - known) == []


def playbook_words(command):
    """The words for ansible-playbook in a command, also in ARGS of `make audit`."""
    if command.program == "ansible-playbook":
        return list(command.words[1:])
    return [word for part in command.words if part.startswith("ARGS=") for word in shlex.split(part.removeprefix("ARGS="))]


def with_playbook_words():
    return [command for command in COMMANDS if playbook_words(command)]


@pytest.mark.parametrize("command", with_playbook_words(), ids=str)
def test_ansible_playbook_understands_it(command, capsys):
    """By Ansible's own parser; what it says of a wrong option goes to stderr."""
    words = playbook_words(command)
    playbooks = [] if command.program == "ansible-playbook" else ["kubeproxy.ipvs.audit"]
    line = PlaybookCLI(["ansible-playbook", *words, *playbooks])
    line.init_parser()
    try:
        arguments = line.parser.parse_args([*words, *playbooks])
    except (SystemExit, argparse.ArgumentError):
        pytest.fail(capsys.readouterr().err)
    assert [name.removeprefix("kubeproxy.ipvs.") in names("playbooks", ".yml") for name in arguments.args] == [True]


@pytest.mark.parametrize("command", [command for command in with_playbook_words() if documented.extra_variables(playbook_words(command))], ids=str)
def test_the_variables_that_it_sets(command):
    """They exist, and have values that their argument specification allows; expressions are ones."""
    given = documented.extra_variables(playbook_words(command))
    assert sorted(set(given) - set(OPTIONS) - TAKEN) == []
    specified = set(given) & set(OPTIONS)
    result = ArgumentSpecValidator({name: OPTIONS[name] for name in specified}).validate({name: given[name] for name in specified})
    assert result.error_messages == []
    check_fail_on(given.get("audit_fail_on", []))
    if given.get("audit_query"):
        compile_query(given["audit_query"])


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.program == "make"], ids=str)
def test_make_knows_its_target(command):
    """As `make -n`, which says what it would do and does nothing."""
    done = subprocess.run(["make", "-n", *command.words[1:]], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [command for command in COMMANDS if command.program.startswith("tests/")], ids=str)
def test_the_program_is_there(command):
    assert os.access(ROOT / command.program, os.X_OK)


def test_the_file_of_the_collection_has_its_version():
    version = yaml.safe_load((ROOT / "galaxy.yml").read_text(encoding="utf-8"))["version"]
    installed = [word for command in COMMANDS if command.program == "ansible-galaxy" for word in command.words if word.endswith(".tar.gz")]
    assert installed and set(installed) == {f"kubeproxy-ipvs-{version}.tar.gz"}


def test_the_kernel_rows_on_the_pages_can_be_used():
    rows = [documented.yaml_of("docs/add-a-kernel.md", "# kernels-of-ours.yml"), documented.yaml_of("README.md", "audit_known_kernels:")]
    assert [known_kernels(row["audit_known_kernels"])[0]["key"] for row in rows] == ["acme_kylin", "acme_4_19"]


# The words of Ansible, sudo, Python, and of a manager of Pythons.
OTHERS = (
    "the role '", "the playbook:", "The module interpreter", "The module failed to execute", "value of audit_", "Data could not be sent", "Failed to connect",
    "Missing sudo", "sudo:", "pyenv:", "Premature end of stream", "Failed to create temporary directory",
)


def messages():
    """The messages in the first column of troubleshooting.md."""
    rows = [re.sub(r"\]\([^)]*\)", "]", line.split(" | ")[0]) for line in TEXTS["docs/troubleshooting.md"].splitlines() if line.startswith("| ")]
    return sorted({message for row in rows for message in re.findall(r"`([^`]{25,})`", row) if not message.startswith(OTHERS)})


@pytest.mark.parametrize("message", messages())
def test_a_message_is_one_of_ours(message):
    """What stands between the dots is in a source file in these words."""
    files = [path for folder in ("plugins", "roles", "playbooks") for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yml")]
    source = re.sub(r'"\s*\n\s*f?"|\s+', " ", "\n".join(path.read_text(encoding="utf-8") for path in files))
    fragments = [part.strip(" ().:,") for part in message.replace("'…'", "…").split("…")]
    assert [part for part in fragments if len(part) > 11 and part not in source] == []
