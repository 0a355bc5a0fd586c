# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: ipvs_facts
short_description: Reads what decides about net.ipv4.vs.conn_reuse_mode on a node
version_added: 0.1.0
description:
  - Reads the kernel, the IPVS sysctls, whatever else on the node writes C(net.ipv4.vs.conn_reuse_mode), kube-proxy, the IPVS table, and
    counters, in one call.
  - It changes nothing and loads no kernel module. It never fails on a node that lacks something. What could not be read is null, and
    C(unreadable) says why.
  - It needs no API server and no C(kubectl). kube-proxy is found by its process, control group and unit.
  - All keys are described in C(docs/facts.md) of the collection.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
requirements:
  - Python 2.7 or 3.6 and newer, the standard library alone
  - root, for the arguments and files of containers; without it less is known
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Returns details on what has changed, or possibly needs changing, when in diff mode.
    support: none
  facts:
    description: Action returns an C(ansible_facts) dictionary that will update existing host facts.
    support: full
  platform:
    description: Target OS/families that can be operated against.
    platforms: linux
    support: full
options:
  root:
    description:
      - Directory to read in place of V(/), for a tree that was collected from a node, such as an unpacked sosreport.
      - Symbolic links are resolved inside it. Nothing is asked over the network and no command is run.
    type: path
    default: /
  evidence:
    description:
      - What is costlier to find out.
      - V(changelog) searches the changelog of the running kernel's package for the fixes, which runs C(rpm) where the package is one.
      - V(binary_version) runs C(kube-proxy --version) of a host binary that belongs to root, where nothing else tells the version.
    type: list
    elements: str
    choices:
      - changelog
      - binary_version
    default: []
  sample_seconds:
    description: Seconds over which new connections and retransmissions are counted, at most 300.
    type: int
    default: 0
  ask_kube_proxy:
    description: Whether kube-proxy is asked on its own metrics and health addresses, on this node alone, for its mode and version.
    type: bool
    default: true
'''

EXAMPLES = r'''
- name: Read everything in one call
  kubeproxy.ipvs.ipvs_facts:

- name: Decide what is safe
  ansible.builtin.debug:
    msg: "{{ ansible_facts['ipvs'] | kubeproxy.ipvs.verdict }}"

- name: Read an unpacked sosreport
  kubeproxy.ipvs.ipvs_facts:
    root: /srv/reports/sosreport-node-17
  delegate_to: localhost

- name: Look for the fixes in the kernel's changelog and watch the counters for ten seconds
  kubeproxy.ipvs.ipvs_facts:
    evidence: [changelog]
    sample_seconds: 10
'''

RETURN = r'''
ansible_facts:
  description: Facts of the node. Those of this module stand below C(ipvs).
  returned: always
  type: dict
  contains:
    ipvs:
      description: What decides about the value on this node. C(docs/facts.md) describes every key.
      returned: always
      type: dict
      contains:
        schema:
          description: Version of this structure.
          returned: always
          type: int
          sample: 1
        root:
          description: What was read.
          returned: always
          type: str
          sample: /
        live:
          description: Whether this is the running node, not a collected tree.
          returned: always
          type: bool
          sample: true
        collected_at:
          description: Time of the call in seconds since the epoch, null for a tree.
          returned: always
          type: int
          sample: 1790000000
        effective_user_id:
          description: User id the module ran as, null for a tree.
          returned: always
          type: int
          sample: 0
        kernel:
          description: Release, version, distribution, state of ip_vs, symbols, live patches, changelog.
          returned: always
          type: dict
          sample: {release: 4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64, ip_vs: loaded}
        sysctl:
          description: All of C(net/ipv4/vs), in the network namespace of the host.
          returned: always
          type: dict
          sample: {state: present, network_namespace: host, conn_reuse_mode: 0, conntrack: 1, expire_nodest_conn: 1}
        writers:
          description: Whatever sets the value, except kube-proxy.
          returned: always
          type: list
          elements: dict
          sample: [{kind: sysctl_file, path: /etc/sysctl.d/99-tuning.conf, line: 3, value: 0, moments: [reboot], wins: [reboot]}]
        kube_proxy:
          description: How kube-proxy is deployed, its mode and version, and how they are known.
          returned: always
          type: dict
          sample: {running: true, form: systemd, mode: ipvs, mode_source: proxy_mode_endpoint, version: 1.20.2}
        table:
          description: Sums over the IPVS table, the worst destinations with weight 0, services that kube-proxy does not own.
          returned: always
          type: dict
          sample: {state: present, services: 120, destinations: 400, stuck: 2}
        counters:
          description: Retransmitted SYNs and failures of connection tracking.
          returned: always
          type: dict
          sample: {tcp_syn_retransmits: 12, conntrack_insert_failed: 0}
        pressure:
          description: How many short connections the node carries.
          returned: always
          type: dict
          sample: {time_wait_share: 0.889, connections_per_second_estimate: 210}
        hold:
          description: What writes the value again after kube-proxy has started.
          returned: always
          type: dict
          sample: {guards: [], managed: null}
        unreadable:
          description: What exists and could not be read.
          returned: always
          type: list
          elements: dict
          sample: [{path: /proc/net/ip_vs, reason: Permission denied}]
'''

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.counters import read_counters
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.hold import read_hold
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_table import read_table
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kernel import read_kernel
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.pressure import read_pressure
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl import read_sysctl, same_namespace
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writers import read_writers

SCHEMA = 1
MAXIMUM_SAMPLE_SECONDS = 300


class _Reader(object):
    """Reads the parts one by one: what nobody foresaw in one of them is reported and costs that part alone."""

    def __init__(self, node):
        self.node = node

    def part(self, name, empty, function, *arguments, **options):
        """What FUNCTION returns, or EMPTY with an entry in `unreadable` if it raises."""
        try:
            return function(*arguments, **options)
        except Exception as error:
            self.node.report(name, 'not understood: %s: %s' % (type(error).__name__, to_text(error, errors='replace')[:200]))
            return empty


def _network_directory(node, other):
    """The directory of /proc with the network of the host, or of process OTHER."""
    if other:
        return '/proc/%d/net' % other
    # Run in a container, this process has a network of its own.
    return '/proc/net' if not node.live or same_namespace('self', 1) else '/proc/1/net'


def collect(node, evidence=(), sample_seconds=0, ask=True, run_command=None):
    """All facts of a node; see docs/facts.md."""
    reader = _Reader(node)
    kernel = reader.part('kernel', {}, read_kernel, node, evidence, run_command)
    units = reader.part('units', None, Units, node)
    proxy = kube_proxy.empty()
    if units is not None:
        proxy = reader.part('kube_proxy', proxy, kube_proxy.read_kube_proxy, node, units, ask, 'binary_version' in evidence, run_command)
    other = proxy['pid'] if proxy['network_namespace'] == 'other' else None
    net = _network_directory(node, other)
    table = reader.part('table', {}, read_table, node, proxy['exclude_cidrs'], net)
    proxy['traces']['ip_vs_services'] = table.get('services')
    proxy['traces']['kube_ipvs0'] = table.get('kube_ipvs0', {}).get('exists')
    writers = reader.part('writers', [], read_writers, node, kernel, units, proxy) if units is not None else []
    return {
        'schema': SCHEMA,
        'root': node.root,
        'live': node.live,
        'collected_at': int(time.time()) if node.live else None,
        'effective_user_id': os.geteuid() if node.live else None,
        'kernel': kernel,
        'sysctl': reader.part('sysctl', {'state': 'unreadable', 'network_namespace': 'host', 'absent': []}, read_sysctl, node, other),
        'writers': writers,
        'kube_proxy': proxy,
        'table': table,
        'counters': reader.part('counters', {}, read_counters, node, net),
        'pressure': reader.part('pressure', {}, read_pressure, node, sample_seconds, net=net),
        'hold': reader.part('hold', {'guards': [], 'managed': None}, read_hold, proxy, writers),
        'unreadable': node.unreadable,
    }


def main():
    """Run as an Ansible module."""
    module = AnsibleModule(
        argument_spec={
            'root': {'type': 'path', 'default': '/'},
            'evidence': {'type': 'list', 'elements': 'str', 'choices': ['changelog', 'binary_version'], 'default': []},
            'sample_seconds': {'type': 'int', 'default': 0},
            'ask_kube_proxy': {'type': 'bool', 'default': True},
        },
        supports_check_mode=True,
    )
    root, seconds = module.params['root'], module.params['sample_seconds']
    if not os.path.isdir(root):
        module.fail_json(msg='root: %s is not a directory on this host' % root)
    if not 0 <= seconds <= MAXIMUM_SAMPLE_SECONDS:
        module.fail_json(msg='sample_seconds: %d is not between 0 and %d' % (seconds, MAXIMUM_SAMPLE_SECONDS))
    facts = collect(NodeFiles(root), module.params['evidence'], seconds, module.params['ask_kube_proxy'], module.run_command)
    module.exit_json(changed=False, ansible_facts={'ipvs': facts})


if __name__ == '__main__':
    main()
