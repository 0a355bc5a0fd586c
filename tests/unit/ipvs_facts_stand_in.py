# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An action of the name ipvs_facts, so that hundreds of nodes can be read without any: what it answers stands in each host's variables."""

from __future__ import annotations

import json
import pathlib
import time

from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase


class ActionModule(ActionBase):
    """stand_in_seconds: how long it takes. stand_in: unreachable, failed, or the path of recorded facts."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        answer = task_vars["stand_in"]
        time.sleep(float(task_vars.get("stand_in_seconds", 0)))
        if answer == "unreachable":
            raise AnsibleConnectionFailure("no route to this host")
        if answer == "failed":
            return result | {"failed": True, "msg": "this one is broken"}
        facts = json.loads(pathlib.Path(answer).read_text(encoding="utf-8"))["ansible_facts"]
        return result | {"changed": False, "ansible_facts": facts}


def collection_with_stand_in(folder: pathlib.Path) -> str:
    """A path of collections below FOLDER with this checkout's collection, whose nodes are read by this action."""
    checkout = pathlib.Path(__file__).resolve().parents[2]
    collection = folder / "ansible_collections" / "kubeproxy" / "ipvs"
    (collection / "plugins" / "action").mkdir(parents=True)
    (collection / "plugins" / "action" / "ipvs_facts.py").symlink_to(pathlib.Path(__file__).resolve())
    for place in (".", "plugins", "plugins/action"):
        for path in (checkout / place).iterdir():
            link = collection / place / path.name
            if not link.exists() and not path.name.startswith((".", "__")):
                link.symlink_to(path)
    return str(folder)
