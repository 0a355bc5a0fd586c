# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node that answers what it likes: an action in the place of each module that runs on nodes, which gives back what a file says."""

from __future__ import annotations

import json
import os
import pathlib
import shutil

from ansible.plugins.action import ActionBase
from ipvs_facts_stand_in import collection_with_stand_in

# Each with the file of its answers in the directory that the environment names: a list, of which the last one is given again and again.
MODULES = ("ipvs_facts", "recorded_files", "kube_proxy_restart", "kube_proxy_mode", "kube_proxy_leftovers", "ipvs_probe")
ANSWERS = "ANSWERS_OF_A_NODE"


class ActionModule(ActionBase):
    """Keeps the arguments that it was given in a file beside the answers."""

    _requires_connection = False
    _supports_check_mode = True

    def run(self, tmp=None, task_vars=None):
        result = super().run(tmp, task_vars)
        directory, name = pathlib.Path(os.environ[ANSWERS]), self._task.action.rpartition(".")[2]
        with open(directory / f"{name}.given", "a", encoding="utf-8") as given:
            given.write(json.dumps(self._task.args, default=str) + "\n")
        answers = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
        asked = (directory / f"{name}.given").read_text(encoding="utf-8").count("\n")
        return result | answers[min(asked, len(answers)) - 1]


def collection_with_lies(folder: pathlib.Path) -> str:
    """A path of collections below FOLDER with this checkout's collection, none of whose modules reaches a node."""
    collections = collection_with_stand_in(folder)
    actions = folder / "ansible_collections" / "kubeproxy" / "ipvs" / "plugins" / "action"
    for name in MODULES:
        (actions / f"{name}.py").unlink(missing_ok=True)
        shutil.copy(__file__, actions / f"{name}.py")
    return collections
