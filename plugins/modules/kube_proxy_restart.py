# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: kube_proxy_restart
short_description: Restarts kube-proxy and proves that it is healthy, in its mode, with its Services and the right net.ipv4.vs.conn_reuse_mode
version_added: 1.0.0
description:
  - kube-proxy writes C(net.ipv4.vs.conn_reuse_mode) when it starts. Whether a value lasts is known only after a restart, which this module
    makes and watches, in one call.
  - A kube-proxy in a systemd unit is restarted by C(systemctl restart). That of k3s or MicroK8s restarts the program that it is a part of.
  - A kube-proxy in a pod or container is sent SIGTERM. Its kubelet or container engine starts it again.
  - Healthy is a process that was not there before, whose own listeners answer C(/healthz) with status 200 and C(/proxyMode) with a mode, as far
    as its configuration has them. With both switched off, it is one that lives for 3 seconds.
  - The value is looked at 20 times a second, from just before the restart to the end.
  - The module fails if there is any problem, and returns all that it saw nevertheless.
notes:
  - It needs root, to restart anything and to tell whose listener answers. Without root, O(restart=false) tells less.
  - Of two runs on one node at once, the second waits for the first, by the file C(/run/kubeproxy.ipvs.restart.lock), which stays.
  - A Service that is deleted while the module runs counts as lost.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
requirements:
  - Python 2.7 or 3.6 and newer, the standard library alone
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
  - kubeproxy.ipvs.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
options:
  restart:
    description:
      - Whether to restart it.
      - With V(false) it is looked at once, after the end of a restart by another run. Then O(value) and O(mode) are what must be there now, and it must be
        healthy.
    type: bool
    default: true
  wait_seconds:
    description:
      - Seconds that it may take from the restart until a new process is healthy, commands of its unit such as C(ExecStartPost) included. From 1 to 3600.
      - A kubelet may wait up to 5 minutes before it starts a container that has ended several times shortly before.
      - As long waits a run for another one on the same node.
    type: int
    default: 180
  watch_seconds:
    description: Seconds for which the process and the value are watched from then on, longer than what holds the value needs to look again. From 0 to 300.
    type: float
    default: 4
  value:
    description: The C(net.ipv4.vs.conn_reuse_mode) that must be there at the end of the watch and through its second half.
    type: int
  mode:
    description: The mode that kube-proxy must have afterwards. By default the one that it had before.
    type: str
    choices:
      - ipvs
      - iptables
      - nftables
      - userspace
  services:
    description:
      - To how many Services to connect before and after. They are TCP services of the IPVS table with a backend whose weight is above 0, taken
        from all over the table. From 0 to 500.
      - Whichever answered before must answer afterwards, within 10 seconds after kube-proxy is healthy. Each connection is closed as soon as it is established.
      - Nothing is tried where the mode is not V(ipvs).
    type: int
    default: 20
  connect_seconds:
    description: Seconds that these connections, all at once, may take to be established. From 0.1 to 60.
    type: float
    default: 2
'''

EXAMPLES = r'''
- name: Prove that the value lasts
  kubeproxy.ipvs.kube_proxy_restart:
    value: 1
  throttle: 1

- name: See whether kube-proxy is healthy and what the value is, without restarting anything
  kubeproxy.ipvs.kube_proxy_restart:
    restart: false
    services: 0

- name: Let a new configuration take effect
  kubeproxy.ipvs.kube_proxy_restart:
    mode: iptables
    wait_seconds: 300
'''

RETURN = r'''
changed:
  description: Whether the process from before has ended. In check mode, whether it would be restarted.
  returned: always
  type: bool
  sample: true
method:
  description: How it was, or would be, restarted, or how that was tried, V(systemctl) or V(signal). Null if nothing was done.
  returned: always
  type: str
  sample: systemctl
form:
  description: How kube-proxy is run, as M(kubeproxy.ipvs.ipvs_facts) names it.
  returned: always
  type: str
  sample: systemd
unit:
  description: The systemd unit, or null.
  returned: always
  type: str
  sample: kube-proxy.service
before:
  description: The kube-proxy that was there. All null if there was none, except its value.
  returned: always
  type: dict
  contains:
    pid:
      description: Its process.
      type: int
      sample: 1234
    start_time:
      description: When that was started, in seconds since the epoch.
      type: float
      sample: 1790000000.25
    mode:
      description: Its mode.
      type: str
      sample: ipvs
    version:
      description: Its version.
      type: str
      sample: 1.20.2
    healthy:
      description: Whether it was healthy.
      type: bool
      sample: true
    healthy_by:
      description:
        - How that is known. V(own_listener), it answered by itself. V(address), something answered, and it cannot be seen whether it was this process.
          V(alive), it cannot be asked and lives. Null if it is not healthy.
      type: str
      sample: own_listener
    value:
      description: The C(net.ipv4.vs.conn_reuse_mode), null where there is none.
      type: int
      sample: 1
after:
  description: The kube-proxy that is there at the end. Null if nothing was restarted.
  returned: always
  type: dict
  contains:
    pid:
      description: As in RV(before), and so are the others.
      type: int
      sample: 2345
    start_time:
      description: When it was started.
      type: float
      sample: 1790000300.5
    mode:
      description: Its mode.
      type: str
      sample: ipvs
    version:
      description: Its version.
      type: str
      sample: 1.20.2
    healthy:
      description: Whether it is healthy at the end of the watch.
      type: bool
      sample: true
    healthy_by:
      description: How that is known.
      type: str
      sample: own_listener
    value:
      description: The value at the end.
      type: int
      sample: 1
    seconds:
      description: From the restart until it was healthy. Null if it never was.
      type: float
      sample: 1.87
    starts:
      description: How often it was seen to start since the restart.
      type: int
      sample: 1
value:
  description: What became of C(net.ipv4.vs.conn_reuse_mode).
  returned: always
  type: dict
  contains:
    at_end:
      description: The value at the end, null where there is none.
      type: int
      sample: 1
    changes:
      description: Each change, at most the first 50.
      type: list
      elements: dict
      contains:
        after_seconds:
          description: Seconds after the restart.
          type: float
          sample: 0.35
        value:
          description: The new value. Null if there is none any more.
          type: int
          sample: 0
    wrong_seconds:
      description: How long it was not O(value), from the restart on. Null if that was not given, or nothing was watched.
      type: float
      sample: 0.25
services:
  description: The Services that were tried. Null where there was nothing to try, or none were asked for.
  returned: always
  type: dict
  contains:
    tried:
      description: How many.
      type: int
      sample: 20
    answered_before:
      description: How many of them answered before the restart. The others prove nothing.
      type: int
      sample: 19
    answered_after:
      description: How many of those answered after it. Null if nothing was restarted.
      type: int
      sample: 19
    lost:
      description: Those that did not, at most 20.
      type: list
      elements: str
      sample: []
problems:
  description: What is wrong, a sentence each. If there is one, the module fails.
  returned: always
  type: list
  elements: str
  sample: [the mode is iptables, not ipvs]
'''

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_config import MODES
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_restart import KubeProxyRestart
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.program_path import trust_programs

LIMITS = {'wait_seconds': (1, 3600), 'watch_seconds': (0, 300), 'services': (0, 500), 'connect_seconds': (0.1, 60)}


def main():
    """Run as an Ansible module."""
    trust_programs()
    module = AnsibleModule(
        argument_spec={
            'restart': {'type': 'bool', 'default': True},
            'wait_seconds': {'type': 'int', 'default': 180},
            'watch_seconds': {'type': 'float', 'default': 4},
            'value': {'type': 'int'},
            'mode': {'type': 'str', 'choices': list(MODES)},
            'services': {'type': 'int', 'default': 20},
            'connect_seconds': {'type': 'float', 'default': 2},
        },
        supports_check_mode=True,
    )
    for name, (least, most) in sorted(LIMITS.items()):
        if not least <= module.params[name] <= most:
            module.fail_json(msg='%s: %s is not between %s and %s' % (name, module.params[name], least, most))
    run = KubeProxyRestart(NodeFiles(), module.params, module.get_bin_path, module.run_command)
    try:
        run.run(module.check_mode)
    except Exception as error:
        # What was seen until then is worth more than where it ended.
        run.result['problems'].append('not understood: %s: %s' % (type(error).__name__, to_text(error, errors='replace')[:200]))
    if run.result['problems']:
        module.fail_json(msg='; '.join(run.result['problems']), **run.result)
    module.exit_json(**run.result)


if __name__ == '__main__':
    main()
