# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The variables of each role: its argument specification, its defaults and its tasks speak of the same ones, with the same values and types."""

from __future__ import annotations

import pathlib
import re

import pytest
import yaml
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator

ROOT = pathlib.Path(__file__).resolve().parents[2]
ROLES = [path.name for path in sorted((ROOT / "roles").iterdir())]


def document(role, path):
    """A YAML file of a role, {} if it has none."""
    file = ROOT / "roles" / role / path
    return yaml.safe_load(file.read_text(encoding="utf-8")) or {} if file.exists() else {}


def options(role):
    return document(role, "meta/argument_specs.yml")["argument_specs"]["main"]["options"]


def code(role):
    """All that can use a variable: tasks, templates, handlers, variables."""
    folders = [ROOT / "roles" / role / name for name in ("tasks", "templates", "handlers", "vars")]
    return "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in sorted(folder.rglob("*")) if path.is_file())


def unknown_names(role, text, known):
    """The variables with the role's prefix that TEXT uses and that are neither among the KNOWN ones nor set in TEXT itself."""
    used = set(re.findall(rf"(?<![\w./'-])_*{role}_[a-z_]*[a-z]\b(?!\()", text))
    made = set(re.findall(rf"^\s*(?:- )?(_*{role}_[a-z_]+):", text, re.MULTILINE))
    made |= set(re.findall(rf"(?:register|loop_var|index_var): (_*{role}_[a-z_]+)", text))
    return sorted(used - made - set(known))


def test_there_are_roles():
    assert ROLES == ["audit", "conn_reuse_mode", "kube_proxy_mode"]


@pytest.mark.parametrize("role", ROLES)
def test_defaults_are_those_of_the_specification(role):
    """Also their types, as far as YAML has them: 0 is not false."""
    specified = {name: option["default"] for name, option in options(role).items() if "default" in option}
    defaults = document(role, "defaults/main.yml")
    assert defaults == specified
    assert {name: type(value) for name, value in defaults.items()} == {name: type(value) for name, value in specified.items()}


@pytest.mark.parametrize("role", ROLES)
def test_defaults_pass_the_specification(role):
    """With all defaults the role's own check, which Ansible runs first, is content and changes none of them."""
    defaults = {name: value for name, value in document(role, "defaults/main.yml").items() if "{{" not in str(value)}
    result = ArgumentSpecValidator(options(role)).validate(defaults)
    assert result.error_messages == []
    assert {name: result.validated_parameters[name] for name in defaults} == defaults


@pytest.mark.parametrize("role", ROLES)
def test_options_are_documented(role):
    for name, option in options(role).items():
        assert name.startswith(f"{role}_") and option["description"] and option["type"], name
        assert option["type"] != "list" or "elements" in option, name


@pytest.mark.parametrize("role", ROLES)
def test_tasks_use_nothing_else(role):
    assert unknown_names(role, code(role), [*options(role), *document(role, "vars/main.yml")]) == []


@pytest.mark.parametrize("role", ROLES)
def test_every_option_is_used(role):
    text = code(role)
    assert [name for name in options(role) if not re.search(rf"\b{name}\b", text)] == []


def test_an_unknown_name_is_found():
    text = """
- ansible.builtin.debug:
    msg: "{{ audit_source }} {{ __audit_made }} {{ audit_registered.x }} {{ audit_sourec }} {{ __audit_lost }}"
  vars:
    __audit_made: 1
  register: audit_registered
"""
    assert unknown_names("audit", text, ["audit_source"]) == ["__audit_lost", "audit_sourec"]
