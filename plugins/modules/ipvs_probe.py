# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: ipvs_probe
short_description: Asks the running kernel what its IPVS does when a source port is used again
version_added: 1.0.0
description:
  - What a kernel does with C(net.ipv4.vs.conn_reuse_mode) follows from patches that its number does not tell. The module measures it, with connections of its
    own, in network namespaces of its own.
  - A client, two servers and three directors, one for each setting of the values, are joined by links inside those namespaces. The client connects through
    IPVS from fixed ports, the server closes first, and the client connects again from the same ports.
  - Connections that are fast on every kernel are made at the same time. If they are not, the answer is V(inconclusive). What is not certain is
    V(unknown).
  - The namespaces belong to a process that ends with the module, in whatever way that ends, and they end with it. The network, the IPVS services and the
    values of the node are neither used nor changed.
  - No module of the kernel is loaded unless O(load_module) is V(true).
notes:
  - It needs root.
  - It takes about a second on a kernel that drops nothing, about three on one that does, and never more than 15.
  - It makes 6 network namespaces and about 100 connections in them. Their entries are in the table of IPVS connections, which all namespaces share, until the
    namespaces end.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
requirements:
  - Python 2.7 or 3.6 and newer, the standard library alone
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
  - kubeproxy.ipvs.attributes.linux
attributes:
  check_mode:
    details: Nothing is measured in check mode. RV(reason) says what would be done.
    support: full
  diff_mode:
    details: Nothing is changed but the modules that O(load_module) loads.
    support: none
options:
  load_module:
    description:
      - Whether C(ip_vs), C(ip_vs_rr), C(nf_conntrack) and C(veth) are loaded where they are not. They stay loaded.
      - It is meant for test machines. A node whose kube-proxy runs in IPVS mode has them.
    type: bool
    default: false
'''

EXAMPLES = r'''
- name: Ask the kernel
  kubeproxy.ipvs.ipvs_probe:
  register: probe

- name: See whether 1 is safe here
  ansible.builtin.debug:
    msg: "{{ probe.capabilities.reuse_without_drop.state }}"

- name: Ask the kernel of a machine that is not a node
  kubeproxy.ipvs.ipvs_probe:
    load_module: true
'''

RETURN = r'''
changed:
  description: Whether a module of the kernel was loaded. In check mode, whether one would be.
  returned: always
  type: bool
  sample: false
capabilities:
  description: What was measured.
  returned: success
  type: dict
  contains:
    reuse_without_drop:
      description: Whether a SYN from a used port is not dropped with C(conn_reuse_mode=1) and C(conntrack=1).
      type: dict
      contains: &capability
        state:
          description: V(yes), V(no) or V(unknown).
          type: str
          sample: "yes"
        seconds:
          description: How long each connection from a used port took to stand. Null where there was none within 3.5 seconds.
          type: list
          elements: float
          sample: [0.0004, 0.0003, 0.0003, 0.0004, 0.0003]
        control_seconds:
          description: The slowest of the connections that are fast on every kernel. Null if none was fast.
          type: float
          sample: 0.0007
    respects_zero_weight:
      description: Whether a connection from a used port leaves a server whose weight is 0, with C(conn_reuse_mode=0).
      type: dict
      contains: *capability
    flushes_deleted:
      description: Whether a connection from a used port leaves a server that was deleted without losing its SYN, with C(conn_reuse_mode=0).
      type: dict
      contains: *capability
answer:
  description: V(conclusive) if every capability is known, else V(inconclusive).
  returned: success
  type: str
  sample: conclusive
reason:
  description: Why it is not conclusive. Null if it is.
  returned: success
  type: str
  sample: null
conntrack:
  description:
    - What made conntrack track in the namespaces. V(always) is a kernel that tracks everywhere, V(service) an IPVS service for FTP to which nothing connects,
      V(rule) a rule of nf_tables.
    - Null if it did not come to that.
  returned: success
  type: str
  sample: service
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 0.81
kernel:
  description: The kernel that was asked.
  returned: success
  type: dict
  contains:
    release:
      description: What C(uname -r) says.
      type: str
      sample: 5.10.0-32-amd64
    version:
      description: What C(uname -v) says.
      type: str
      sample: "#1 SMP Debian 5.10.223-1 (2024-08-10)"
'''

from ansible.module_utils.basic import AnsibleModule
from ansible_collections.kubeproxy.ipvs.plugins.module_utils import probe_run
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.nfnetlink import is_there
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_judgment import nothing_known
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.program_path import trust_programs

WOULD = 'check mode: it would be measured in network namespaces of its own'


def _load(module, names):
    """Load modules of the kernel; ends with a sentence if that fails."""
    program = module.get_bin_path('modprobe')
    if program is None:
        module.fail_json(msg='not loaded: %s, and there is no modprobe' % ', '.join(names))
    for name in names:
        status, dummy, errors = module.run_command([program, name])
        if status != 0:
            module.fail_json(msg='%s cannot be loaded: %s' % (name, errors.strip()[:200] or 'modprobe does not say why'))


def main():
    """Run as an Ansible module."""
    trust_programs()
    module = AnsibleModule(argument_spec={'load_module': {'type': 'bool', 'default': False}}, supports_check_mode=True)
    node = NodeFiles()

    def there(name):
        return is_there(node, name)

    missing = probe_run.missing_modules(there) if module.params['load_module'] else []
    if missing and not module.check_mode:
        _load(module, missing)
    # What is loaded only in check mode cannot be asked for its values.
    reason = None if missing and module.check_mode else probe_run.refusal(there)
    if reason is not None:
        module.fail_json(msg='not measured: ' + reason, changed=bool(missing))
    if module.check_mode:
        would = WOULD + (', after loading %s' % ', '.join(missing) if missing else '')
        module.exit_json(changed=bool(missing), **dict(nothing_known(would), seconds=0.0, kernel=probe_run.kernel(), conntrack=None))
    module.exit_json(changed=bool(missing), **probe_run.probe(there))


if __name__ == '__main__':
    main()
