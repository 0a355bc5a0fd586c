# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inside the kernel: what the module ipvs_facts reads of it, as JSON."""

from __future__ import annotations

import json

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.modules.ipvs_facts import collect

print(json.dumps(collect(NodeFiles("/"))))
