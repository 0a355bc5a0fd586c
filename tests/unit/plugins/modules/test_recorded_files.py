# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The module around the recorded changes: its arguments, what it returns, and how it fails."""

from __future__ import annotations

import json
import types

import pytest
import yaml

from ansible_collections.kubeproxy.ipvs.plugins.modules import recorded_files

DOCUMENTED = yaml.safe_load(recorded_files.RETURN)
TYPES = {"str": str, "list": list, "dict": dict}


@pytest.fixture
def run(tmp_path, monkeypatch, capsys):
    """run(state, option=...) -> (result, exit code), as Ansible runs it, on a tree with /etc/plain."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/plain").write_text("plain\n")
    (tmp_path / "etc/sysctl.conf").write_bytes(b"# \xff\nvalue = 0\n")
    (tmp_path / "value").write_text("0\n")

    def call(state="applied", **options):
        options = {"name": "hold", "directory": str(tmp_path / "kept"), "state": state} | options
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_ARGS", json.dumps({"ANSIBLE_MODULE_ARGS": options}).encode())
        monkeypatch.setattr("ansible.module_utils.basic._ANSIBLE_PROFILE", "legacy", raising=False)
        with pytest.raises(SystemExit) as ended:
            recorded_files.main()
        return json.loads(capsys.readouterr().out), ended.value.code

    return call


@pytest.fixture
def wanted(tmp_path):
    return {
        "files": [
            {"path": str(tmp_path / "etc/plain"), "content": "ours\n", "mode": "0600"},
            {"path": str(tmp_path / "etc/new/file"), "content": "gr\u00fc\u00dfe\n", "mode": None},
            {"path": str(tmp_path / "etc/link"), "link": "plain"},
            {"path": str(tmp_path / "etc/never"), "absent": True},
            {"path": str(tmp_path / "etc/sysctl.conf"), "lines": [{"line": "value = 0", "replacement": "# ours:\n# value = 0\n"}]},
        ],
        "values": [{"path": str(tmp_path / "value"), "write": 1}],
        "facts": {"why": "test"},
    }


def listing(root):
    return {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in sorted(root.rglob("*"))}


def check(result):
    """What is returned is what is documented."""
    for name, entry in DOCUMENTED.items():
        assert isinstance(result[name], TYPES[entry["type"]]), name
    documented = DOCUMENTED["diff"]["contains"].keys()
    assert all(entry.keys() == documented for entry in result["diff"])
    for name in ("files", "kernel_values", "not_restored"):
        assert all(entry.keys() == DOCUMENTED[name]["sample"][0].keys() for entry in result[name])


def test_there_and_back(run, wanted, tmp_path):
    before = listing(tmp_path)
    foretold, code = run(**wanted, _ansible_check_mode=True)
    assert (code, foretold["changed"], listing(tmp_path)) == (0, True, before)
    result, code = run(**wanted)
    check(result)
    assert (code, result["changed"], result["facts"], result["files"]) == (0, True, {"why": "test"}, foretold["files"])
    assert [entry["action"] for entry in result["files"]] == ["changed", "created", "created", "unchanged", "changed"]
    assert (tmp_path / "etc/sysctl.conf").read_bytes() == b"# \xff\n# ours:\n# value = 0\n"
    assert (tmp_path / "etc/new/file").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "etc/new/file").read_bytes() == "gr\u00fc\u00dfe\n".encode()
    assert (tmp_path / "value").read_text() == "1\n"
    result, code = run(**wanted)
    assert (code, result["changed"], result["diff"]) == (0, False, [])
    result, code = run("restored")
    check(result)
    assert (code, result["changed"], result["facts"], listing(tmp_path)) == (0, True, {"why": "test"}, before)
    result, code = run("restored")
    check(result)
    assert (code, result["changed"]) == (0, False)


def test_what_others_changed_fails(run, wanted, tmp_path):
    run(**wanted)
    (tmp_path / "etc/plain").write_text("theirs")
    result, code = run("restored")
    check(result)
    assert (code, result["failed"], result["changed"]) == (1, True, True)
    assert f"{tmp_path}/etc/plain (somebody else changed it afterwards)" in result["msg"]
    result, code = run("restored", force=True)
    assert (code, (tmp_path / "etc/plain").read_text()) == (0, "plain\n")


@pytest.fixture
def warned(monkeypatch):
    found = []
    # A newer core gives warnings to the controller's display instead, where the controller's code is loaded as in other tests.
    monkeypatch.setattr("ansible.module_utils.basic.AnsibleModule.warn", lambda self, warning, **more: found.append(warning))
    return found


def test_a_line_that_has_no_place_any_more_is_warned_of(run, wanted, tmp_path, warned):
    run(**wanted)
    (tmp_path / "etc/sysctl.conf").write_bytes(b"theirs\n")
    result, code = run("restored")
    check(result)
    assert (code, (tmp_path / "etc/sysctl.conf").read_bytes(), listing(tmp_path).get("kept")) == (0, b"theirs\n", None)
    assert warned == [
        f"{tmp_path}/etc/sysctl.conf was not put back: somebody else changed it afterwards, "
        "and what had taken the place of 1 of its lines is not there any more"
    ]


def test_what_others_changed_and_nobody_wants_is_warned_of(run, wanted, tmp_path, warned):
    run(**wanted)
    (tmp_path / "etc/plain").write_text("theirs")
    result, code = run(files=[])
    check(result)
    assert (code, result["changed"], [entry["path"] for entry in result["not_restored"]]) == (0, True, [f"{tmp_path}/etc/plain"])
    assert "etc/plain was not put back: somebody else" in warned[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"files": [{"path": "/etc", "content": "x"}]}, "/etc is a directory. Nothing was changed|/etc is a directory"),
        ({"files": [{"path": "/etc/x", "content": {"a": 1}}]}, "/etc/x: its content is not text but of type dict"),
        ({"files": [{"path": "/etc/x"}]}, "/etc/x needs exactly one of content, link, lines and absent"),
        ({"files": [{"path": "/etc/x", "content": "x", "mode": 420}]}, "/etc/x: the mode 420 is not an octal number"),
        ({"files": [{"path": "/etc/x", "lines": [{"line": "x"}]}]}, "replacement found in files -> lines|missing required arguments: replacement"),
        ({"files": [{"path": "/etc/x", "lines": [{"line": 1, "replacement": ""}]}]}, "/etc/x: its line is not text but of type int"),
        ({"files": [{"path": "/etc/x", "lines": [{"line": "x", "replacement": ""}], "absent": True}]}, "/etc/x needs exactly one of"),
        ({"files": [], "name": "No"}, "name: No is not made of"),
        ({}, "files, values"),
        ({"state": "gone", "files": []}, "state"),
    ],
)
def test_what_it_refuses(run, tmp_path, options, words):
    before = listing(tmp_path)
    result, code = run(**options)
    assert (code, result["failed"]) == (1, True)
    assert any(word in result["msg"] for word in words.split("|"))
    assert listing(tmp_path) == before


def test_selinux(run, wanted, monkeypatch):
    """The label of a file is kept, a new one gets what the policy says, and an original gets its own back."""
    put = []
    monkeypatch.setattr(recorded_files, "selinux", types.SimpleNamespace(lsetfilecon=lambda path, label: put.append(label) or 0))
    module = recorded_files.AnsibleModule
    monkeypatch.setattr(module, "selinux_enabled", lambda self: True)
    monkeypatch.setattr(module, "selinux_context", lambda self, path: ["u", "object_r", "etc_t", "s0"])
    monkeypatch.setattr(module, "selinux_default_context", lambda self, path, mode=0: ["u", "object_r", "new_t", "s0"] if "new" in path else [None] * 4)
    run(**wanted)
    assert put == ["u:object_r:etc_t:s0", "u:object_r:new_t:s0", "u:object_r:new_t:s0", "u:object_r:etc_t:s0"]
    del put[:]
    run("restored")
    assert put == ["u:object_r:etc_t:s0", "u:object_r:etc_t:s0"]


def test_selinux_refuses(run, wanted, tmp_path, monkeypatch):
    before = listing(tmp_path)
    monkeypatch.setattr(recorded_files, "selinux", types.SimpleNamespace(lsetfilecon=lambda path, label: -1))
    module = recorded_files.AnsibleModule
    monkeypatch.setattr(module, "selinux_enabled", lambda self: True)
    monkeypatch.setattr(module, "selinux_context", lambda self, path: ["u", "object_r", "etc_t", "s0"])
    monkeypatch.setattr(module, "selinux_default_context", lambda self, path, mode=0: ["u", "object_r", "new_t", "s0"])
    result, code = run(**wanted)
    assert (code, result["msg"]) == (1, f"{tmp_path}/etc/plain cannot be written: SELinux refuses the label u:object_r:etc_t:s0. Nothing was changed.")
    assert listing(tmp_path) == before


def test_documented_options_are_the_arguments(monkeypatch):
    class Seen(Exception):
        pass

    def module(argument_spec, **more):
        raise Seen(argument_spec)

    monkeypatch.setattr(recorded_files, "AnsibleModule", module)
    with pytest.raises(Seen) as seen:
        recorded_files.main()
    documented = yaml.safe_load(recorded_files.DOCUMENTATION)
    arguments = seen.value.args[0]
    assert documented["options"].keys() == arguments.keys()
    for name, argument in arguments.items():
        suboptions = documented["options"][name].get("suboptions", {})
        assert suboptions.keys() == argument.get("options", {}).keys()
    assert documented["attributes"]["check_mode"]["support"] == documented["attributes"]["diff_mode"]["support"] == "full"
