# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which modules a controller does not have: asked of Ansible itself, about its own, about ours, and about ones that nobody has."""

from __future__ import annotations

import json

from real_ansible import NEEDS_ANSIBLE, ansible_playbook

pytestmark = NEEDS_ANSIBLE
NAMES = {
    "none": [],
    "there": ["ansible.builtin.copy", "kubeproxy.ipvs.ipvs_facts"],
    "missing": ["no.such.module", "ansible.builtin.copy", "kubeproxy.ipvs.no_such_module"],
}


def test_missing_modules(tmp_path):
    told = "{{ names | dict2items | map(attribute='value') | map('kubeproxy.ipvs.missing_modules') | to_json }}"
    task = {"ansible.builtin.copy": {"content": told, "dest": str(tmp_path / "told.json"), "mode": "0644"}}
    play = [{"hosts": "localhost", "gather_facts": False, "vars": {"names": NAMES}, "tasks": [task]}]
    (tmp_path / "play.yml").write_text(json.dumps(play), encoding="utf-8")
    status, output = ansible_playbook(tmp_path, "-i", "localhost,", "-c", "local", "play.yml")
    assert status == 0, output
    assert json.loads((tmp_path / "told.json").read_text(encoding="utf-8")) == [[], [], ["no.such.module", "kubeproxy.ipvs.no_such_module"]]
