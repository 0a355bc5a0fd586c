# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: kube_proxy_mode
short_description: Finds where the mode of a node's kube-proxy is set and what to change there
version_added: 1.0.0
description:
  - Finds the file that decides about the mode of kube-proxy the next time that it starts, and what to change in it for the mode to be O(mode).
  - It changes nothing. RV(files) is what the module M(kubeproxy.ipvs.recorded_files) takes to make the change, and to take it back.
  - With C(--config) the configuration file decides, and C(--proxy-mode) has no effect. Without it the last C(--proxy-mode) does, in a
    unit, a drop-in, an environment file, a script that a unit starts, the argument file of a snap, or the configuration of k3s or RKE2.
  - Only the mode changes. Comments, order, quotes, indentation and line ends stay as they are. Each change was read again, as kube-proxy would
    be started with it, before it is returned. What cannot be changed in this way is refused with a sentence that says why.
  - A kube-proxy of a DaemonSet has the mode of the cluster. Nothing is to be changed on its node, and nothing is refused.
notes:
  - A kube-proxy that is started with C(--config) ends by itself when that file changes.
  - Of a file below C(/usr), C(/lib) or C(/run), which belongs to a package, nothing is changed. For a unit a drop-in is returned then, with the
    whole command. What the package changes in its own command later is without effect as long as the drop-in is there.
  - If RV(up_to_date) is true, RV(files) is empty. Passing that to M(kubeproxy.ipvs.recorded_files) would put back what it has recorded.
  - The lines of RV(files) are those that are there now. M(kubeproxy.ipvs.recorded_files) replaces lines in the original that it recorded. To go
    from one mode to another under the same name, put the record back first.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
requirements:
  - Python 2.7 or 3.6 and newer, the standard library alone
  - root, for the arguments and files of kube-proxy
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
  - kubeproxy.ipvs.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  mode:
    description: The mode that kube-proxy is to have.
    type: str
    choices:
      - iptables
      - nftables
      - ipvs
    required: true
  root:
    description:
      - Directory to read in place of V(/), for a tree that was collected from a node.
      - Symbolic links are resolved inside it. Nothing is asked over the network and no command is run.
    type: path
    default: /
'''

EXAMPLES = r'''
- name: Find out what moves kube-proxy to iptables
  kubeproxy.ipvs.kube_proxy_mode:
    mode: iptables
  register: place

- name: Say why it cannot be done
  ansible.builtin.fail:
    msg: "{{ place.refused | join('; ') }}"
  when: place.refused | length > 0

- name: Change the file, so that it can be put back
  kubeproxy.ipvs.recorded_files:
    name: kube_proxy_mode
    files: "{{ place.files }}"
  when: place.files | length > 0
'''

RETURN = r'''
form:
  description: How kube-proxy is run, as C(kube_proxy.form) of M(kubeproxy.ipvs.ipvs_facts). Null if it cannot be told.
  returned: always
  type: str
  sample: systemd
unit:
  description: The systemd unit that starts it, or the program that it is a part of. Null without one.
  returned: always
  type: str
  sample: kube-proxy.service
mode_effective:
  description: The mode that kube-proxy says it has. Null if it does not say so.
  returned: always
  type: str
  sample: ipvs
mode_configured:
  description: The mode that its arguments and its file give it. Null if that cannot be read.
  returned: always
  type: str
  sample: ipvs
version:
  description: Its version. Null if it cannot be told.
  returned: always
  type: str
  sample: 1.28.5+k3s1
exclude_cidrs:
  description: The networks whose IPVS services it leaves alone.
  returned: always
  type: list
  elements: str
  sample: [10.103.97.2/32]
ignored_flags:
  description: Flags that have no effect beside C(--config).
  returned: always
  type: list
  elements: str
  sample: [--proxy-mode=iptables]
image:
  description: The image of its container. Null if it is not known, or kube-proxy runs in none.
  returned: always
  type: str
  sample: registry.k8s.io/kube-proxy:v1.28.3
manifest_path:
  description: The manifest of its static pod. Null without one.
  returned: always
  type: str
  sample: /etc/kubernetes/manifests/kube-proxy.manifest
kind:
  description:
    - What decides about the mode, V(config_file), V(unit), V(environment_file), V(argument_file), V(script), V(rancher_config), V(configmap)
      or V(manifest). V(unknown) if it was not found.
    - For V(configmap) the mode is that of the cluster, and RV(files) is empty.
  returned: always
  type: str
  sample: config_file
up_to_date:
  description: Whether the files already give O(mode), so that there is nothing to change.
  returned: always
  type: bool
  sample: false
files:
  description:
    - What to change, as the option O(kubeproxy.ipvs.recorded_files#module:files). At most one file.
    - The file is given with C(lines) where lines are replaced, and with C(content) and C(mode) where it is new or a line comes in between.
  returned: always
  type: list
  elements: dict
  sample: [{path: /var/lib/kube-proxy/kube-proxy-config.yaml, lines: [{line: "mode: ipvs", replacement: "mode: iptables"}]}]
where:
  description: The same for people, line by line.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The file, symbolic links followed.
      type: str
      sample: /var/lib/kube-proxy/kube-proxy-config.yaml
    line:
      description: Number of the line, counted from 1.
      type: int
      sample: 12
    text:
      description: The line. Null if it is new.
      type: str
      sample: "mode: ipvs"
    becomes:
      description: What it becomes.
      type: str
      sample: "mode: iptables"
daemon_reload:
  description: Whether systemd has to read its units again.
  returned: always
  type: bool
  sample: false
restart:
  description: The unit to restart for the change to count. Null if nothing is to be changed, or no unit is known.
  returned: always
  type: str
  sample: kube-proxy.service
refused:
  description: Why nothing can be changed, a sentence each. RV(files) is empty then.
  returned: always
  type: list
  elements: str
  sample: ["/var/lib/kube-proxy/kube-proxy-config.yaml, line 9: the mode is given a second time, first in line 3"]
neighbours:
  description: What else on the node has services of its own in IPVS, or works differently in another mode.
  returned: always
  type: list
  elements: dict
  contains:
    name:
      description: What it is.
      type: str
      sample: keepalived
    kind:
      description: V(ipvs) if it may have services of its own there, V(mode) if it follows the mode, V(replaces) if it can stand in for kube-proxy.
      type: str
      sample: ipvs
    pid:
      description: Its process. Null if only the manifest of a static pod names it.
      type: int
      sample: 812
    path:
      description: The program, or the manifest.
      type: str
      sample: /usr/sbin/keepalived
nft_version:
  description: Version of C(nft) on the node. Null without it, or if O(mode) is another one than V(nftables).
  returned: always
  type: str
  sample: 1.0.6
iptables_variants:
  description: The variants of iptables on the node, V(legacy) and V(nft), that of the plain name first. Null if none is known.
  returned: always
  type: list
  elements: str
  sample: [nft, legacy]
unreadable:
  description: What exists and could not be read or understood.
  returned: always
  type: list
  elements: dict
  contains:
    path:
      description: The path.
      type: str
      sample: /etc/rancher/k3s/config.yaml
    reason:
      description: Why.
      type: str
      sample: Permission denied
'''

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy import read_kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_place import find_mode
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.neighbours import read_neighbours
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.packet_filters import iptables_variants, nft_version
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.program_path import trust_programs
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units

MODES = ('iptables', 'nftables', 'ipvs')
OF_KUBE_PROXY = ('form', 'unit', 'mode_effective', 'mode_configured', 'version', 'exclude_cidrs', 'ignored_flags', 'image', 'manifest_path')


def look(node, mode, run_command=None, find_program=None):
    """All that the module returns of a node."""
    units = Units(node)
    proxy = read_kube_proxy(node, units)
    result = dict((name, proxy[name]) for name in OF_KUBE_PROXY)
    result.update(find_mode(node, units, proxy, mode))
    result['neighbours'] = read_neighbours(node)
    result['nft_version'] = nft_version(node, run_command, find_program) if mode == 'nftables' else None
    result['iptables_variants'] = iptables_variants(node)
    result['unreadable'] = node.unreadable
    return result


def main():
    """Run as an Ansible module."""
    trust_programs()
    module = AnsibleModule(
        argument_spec={
            'mode': {'type': 'str', 'choices': list(MODES), 'required': True},
            'root': {'type': 'path', 'default': '/'},
        },
        supports_check_mode=True,
    )
    root = module.params['root']
    if not os.path.isdir(root):
        module.fail_json(msg='root: %s is not a directory on this host' % root)
    try:
        result = look(NodeFiles(root), module.params['mode'], module.run_command, module.get_bin_path)
    except Exception as error:
        # A file that nobody foresaw is no reason for a traceback, and none for a guess.
        module.fail_json(msg='not understood: %s: %s' % (type(error).__name__, to_text(error, errors='replace')[:200]))
    module.exit_json(changed=False, **result)


if __name__ == '__main__':
    main()
