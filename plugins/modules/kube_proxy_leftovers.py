# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: kube_proxy_leftovers
short_description: Removes what kube-proxy left behind on a node when its mode was changed
version_added: 1.0.0
description:
  - A kube-proxy whose mode is changed does not remove the IPVS services, the interface C(kube-ipvs0), the chains of iptables and the IP sets of its
    former mode. With them the node goes on answering for Services that are no more.
  - The module removes exactly what O(owned) names, from the network namespace of the host. It asks kube-proxy for its mode first and removes nothing
    unless that is O(mode), kube-proxy is healthy and has written its rules.
  - The order is connections, IPVS services, interfaces, chains, IP sets. A run that was cut off is completed by the next one.
  - An IPVS service is deleted only if it is kube-proxy's. Its address is on C(kube-ipvs0), or it is an address of the node and the port is
    between 30000 and 32767. It has no firewall mark and does not lie in O(exclude_cidrs). All others stay, and so do those of which it cannot be told.
  - An interface is removed only if it is of the kind C(dummy) and no IPVS service of others has one of its addresses. Otherwise it stays as it is.
  - Chains go with their rules, and with the rules of other chains by which kube-proxy jumps to them, in one transaction for each table. A chain to
    which any other rule jumps stays, with that rule. Nothing else in a table changes, neither rules nor counters.
  - No module of the kernel is loaded and no table is made. What is not there needs no removal.
  - The module fails if something could not be removed, and returns all that it did nevertheless. What stays on purpose is no failure.
notes:
  - It needs root.
  - An IPVS service of another program on an address of the node with a port between 30000 and 32767, as keepalived may have one, cannot be told from one of
    kube-proxy. Name its address in O(exclude_cidrs). NodePorts that are out of this range stay.
  - The variants legacy and nft of iptables are both cleared, for IPv4 and IPv6, by the programs that are installed on the node.
  - The table C(kube-proxy) of the mode V(nftables) is not touched. A kube-proxy that knows this mode removes it itself.
  - Of two runs on one node at once, the second waits for the first, by the file C(/run/kubeproxy.ipvs.leftovers.lock), which stays.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
requirements:
  - Python 2.7 or 3.6 and newer, the standard library alone
  - C(iptables-save) and C(iptables-restore), and those of IPv6, where there are chains to remove
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
  - kubeproxy.ipvs.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
options:
  mode:
    description: The mode in which kube-proxy must be now.
    type: str
    required: true
    choices:
      - ipvs
      - iptables
      - nftables
  owned:
    description: What is to go. The filter P(kubeproxy.ipvs.kube_proxy_leftovers#filter) makes this of the mode.
    type: dict
    required: true
    suboptions:
      services:
        description: Whether IPVS services that are kube-proxy's go.
        type: bool
        default: false
      interfaces:
        description: Names of interfaces.
        type: list
        elements: str
        default: []
      chains:
        description: Chains of iptables. Chains that are built in never go.
        type: list
        elements: dict
        default: []
        suboptions:
          table:
            description: Their table.
            type: str
            required: true
          name:
            description: The whole name.
            type: str
          prefix:
            description: How their names begin, at least 5 characters.
            type: str
          jumps:
            description: The rules of other chains that may be removed because they jump there.
            type: list
            elements: dict
            default: []
            suboptions:
              chain:
                description: The chain in which the rule is.
                type: str
                required: true
              comment:
                description: The comment that the rule must have. By default it needs none.
                type: str
      sets:
        description: IP sets.
        type: dict
        default: {}
        suboptions:
          names:
            description: Whole names.
            type: list
            elements: str
            default: []
          prefixes:
            description: How their names begin, at least 5 characters.
            type: list
            elements: str
            default: []
      written:
        description:
          - Chains, of which one must be there as proof that kube-proxy has written the rules of its new mode. With neither name nor prefix it is any chain of
            the table.
          - By default no proof is needed.
        type: list
        elements: dict
        default: []
        suboptions:
          table:
            description: Its table, of iptables or nf_tables.
            type: str
            required: true
          name:
            description: The whole name.
            type: str
          prefix:
            description: How the name begins.
            type: str
  unproven_mode:
    description: Whether the mode that is configured will do where kube-proxy itself cannot be asked for its mode.
    type: bool
    default: false
  exclude_cidrs:
    description: Networks and addresses whose IPVS services belong to others, as in C(ipvs.excludeCIDRs) of kube-proxy's configuration.
    type: list
    elements: str
    default: []
  drain_seconds:
    description:
      - Seconds to wait at most until no IPVS service that goes has active connections any more. From 0 to 86400.
      - The connections that are left then are broken.
    type: float
    default: 0
  timeout_seconds:
    description: Seconds that all the rest may take, waiting for another run on the same node included. From 1 to 3600.
    type: int
    default: 60
'''

EXAMPLES = r'''
- name: See what IPVS has left on nodes that are in iptables mode now
  kubeproxy.ipvs.kube_proxy_leftovers:
    mode: iptables
    owned: "{{ 'iptables' | kubeproxy.ipvs.kube_proxy_leftovers }}"
  check_mode: true
  diff: true

- name: Remove it, with time for connections to end, and with a Service of others left alone
  kubeproxy.ipvs.kube_proxy_leftovers:
    mode: iptables
    owned: "{{ 'iptables' | kubeproxy.ipvs.kube_proxy_leftovers }}"
    exclude_cidrs:
      - 10.103.97.2/32
    drain_seconds: 120
'''

RETURN = r'''
changed:
  description: Whether something was removed. In check mode, whether something would be.
  returned: always
  type: bool
  sample: true
found:
  description: What was there, of what O(owned) names.
  returned: always
  type: dict
  contains: &things
    services:
      description: How many IPVS services of kube-proxy.
      type: int
      sample: 120
    foreign:
      description: How many IPVS services that are not kube-proxy's, or of which that cannot be told.
      type: int
      sample: 1
    foreign_services:
      description:
        - At most 20 of them, with C(protocol), C(service) and C(reason).
        - The reason is V(fwmark), V(excluded_cidr), V(address_not_local), V(address_not_kube_ipvs0) or V(unknown).
      type: list
      elements: dict
      sample: [{protocol: TCP, service: "10.103.97.2:6443", reason: address_not_local}]
    interfaces:
      description: Names of interfaces.
      type: list
      elements: str
      sample: [kube-ipvs0]
    chain_count:
      description: How many chains.
      type: int
      sample: 3
    chains:
      description: At most 1000 of them, with C(table), C(chain), C(family) V(ipv4) or V(ipv6), and C(variant) V(legacy) or V(nft).
      type: list
      elements: dict
      sample: [{table: nat, chain: KUBE-NODE-PORT, family: ipv4, variant: legacy}]
    sets:
      description: Names of IP sets.
      type: list
      elements: str
      sample: [KUBE-CLUSTER-IP]
removed:
  description: What is there no more, or in check mode would be there no more, in the form of RV(found).
  returned: always
  type: dict
  contains: *things
remaining:
  description: What is still there, or in check mode would be, in the form of RV(found).
  returned: always
  type: dict
  contains: *things
drained:
  description: What became of connections through the IPVS services that were to go.
  returned: always
  type: dict
  contains:
    seconds:
      description: How long was waited.
      type: float
      sample: 12.02
    active_connections_left:
      description: How many active connections there were at the end of that.
      type: int
      sample: 0
kept:
  description: What stays on purpose and why, a sentence each.
  returned: always
  type: list
  elements: str
  sample: []
problems:
  description: What is wrong, a sentence each. If there is one, the module fails.
  returned: always
  type: list
  elements: str
  sample: ["the mode of kube-proxy, process 1234, is ipvs, not iptables: nothing was removed"]
'''

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_leftovers import KubeProxyLeftovers
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.program_path import trust_programs

LIMITS = {'drain_seconds': (0, 86400), 'timeout_seconds': (1, 3600)}
TEXTS = {'type': 'list', 'elements': 'str', 'default': []}
PLACE = {'table': {'type': 'str', 'required': True}, 'name': {'type': 'str'}, 'prefix': {'type': 'str'}}
JUMPS = {'type': 'list', 'elements': 'dict', 'default': [], 'options': {'chain': {'type': 'str', 'required': True}, 'comment': {'type': 'str'}}}
OWNED = {
    'services': {'type': 'bool', 'default': False},
    'interfaces': TEXTS,
    'chains': {
        'type': 'list',
        'elements': 'dict',
        'default': [],
        'options': dict(PLACE, jumps=JUMPS),
        'mutually_exclusive': [('name', 'prefix')],
        'required_one_of': [('name', 'prefix')],
    },
    'sets': {'type': 'dict', 'default': {}, 'options': {'names': TEXTS, 'prefixes': TEXTS}},
    'written': {'type': 'list', 'elements': 'dict', 'default': [], 'options': PLACE, 'mutually_exclusive': [('name', 'prefix')]},
}


def main():
    """Run as an Ansible module."""
    trust_programs()
    module = AnsibleModule(
        argument_spec={
            'mode': {'type': 'str', 'required': True, 'choices': ['ipvs', 'iptables', 'nftables']},
            'owned': {'type': 'dict', 'required': True, 'options': OWNED},
            'unproven_mode': {'type': 'bool', 'default': False},
            'exclude_cidrs': TEXTS,
            'drain_seconds': {'type': 'float', 'default': 0},
            'timeout_seconds': {'type': 'int', 'default': 60},
        },
        supports_check_mode=True,
    )
    for name, (least, most) in sorted(LIMITS.items()):
        if not least <= module.params[name] <= most:
            module.fail_json(msg='%s: %s is not between %s and %s' % (name, module.params[name], least, most))
    run = KubeProxyLeftovers(NodeFiles(), module.params, module.get_bin_path)
    try:
        run.run(module.check_mode)
    except Exception as error:
        # What was done until then is worth more than where it ended.
        run.result['problems'].append('not understood: %s: %s' % (type(error).__name__, to_text(error, errors='replace')[:200]))
    if module._diff:
        run.result['diff'] = {'before': run.before, 'after': run.after}
    if run.result['problems']:
        module.fail_json(msg='; '.join(run.result['problems']), **run.result)
    module.exit_json(**run.result)


if __name__ == '__main__':
    main()
