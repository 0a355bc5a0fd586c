# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import absolute_import, division, print_function

__metaclass__ = type

DOCUMENTATION = r'''
module: ipvs_facts
short_description: Reads what decides about net.ipv4.vs.conn_reuse_mode on a node
version_added: 1.0.0
description:
  - Reads the kernel, the IPVS sysctls, whatever else on the node writes C(net.ipv4.vs.conn_reuse_mode), kube-proxy, the IPVS table, and
    counters, in one call.
  - It changes nothing and loads no kernel module. It never fails on a node that lacks something. What could not be read is null, and
    C(unreadable) says why.
  - It needs no API server and no C(kubectl). kube-proxy is found by its process, control group and unit.
author:
  - The kubeproxy.ipvs authors (@kubeproxy)
requirements:
  - Python 2.7 or 3.6 and newer, the standard library alone
  - root, for the arguments and files of containers; without it less is known
extends_documentation_fragment:
  - kubeproxy.ipvs.attributes
  - kubeproxy.ipvs.attributes.facts
  - kubeproxy.ipvs.attributes.linux
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
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
node_python:
  description:
    - The Python of the node, where the module did not run and that may be why.
    - Where it is too old for the ansible-core that runs, RV(ignore:msg) says so and what to do.
  returned: when the module did not run and the node's Python is the likely reason
  type: dict
  contains:
    version:
      description: Its version.
      returned: always
      type: str
      sample: 2.7.18
    supported:
      description: Whether the ansible-core that runs drives it.
      returned: always
      type: bool
      sample: false
ansible_facts:
  description: Facts of the node. Those of this module stand below C(ipvs).
  returned: always
  type: dict
  contains:
    ipvs:
      description:
        - What decides about the value on this node.
        - Every key is always there. Null means that it was not read, and C(unreadable) says why if the thing exists.
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
          description: The running kernel.
          returned: always
          type: dict
          contains:
            release:
              description: As C(uname -r) prints it.
              type: str
              sample: 4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64
            version:
              description: As C(uname -v) prints it.
              type: str
              sample: "#1 SMP Tue Sep 15 00:00:00 UTC 2020"
            machine:
              description: As C(uname -m) prints it.
              type: str
              sample: x86_64
            os_release:
              description: C(id), C(version_id), C(id_like), and as C(name) the C(PRETTY_NAME) of V(/etc/os-release).
              type: dict
              sample: {id: euleros, version_id: "2.0", name: "EulerOS 2.0 (SP9)", id_like: null}
            version_signature:
              description: Of Ubuntu, which names the upstream version; null elsewhere.
              type: str
              sample: Ubuntu 5.4.0-48.52-generic 5.4.60
            ip_vs:
              description: V(loaded), V(builtin), or V(absent).
              type: str
              sample: loaded
            ip_vs_module_available:
              description: Whether a module file for the running kernel is on disk.
              type: bool
              sample: true
            ip_vs_loaded_at_boot:
              description: What loads the module before systemd-sysctl runs.
              type: list
              elements: dict
              sample: [{path: /etc/modules-load.d/ipvs.conf, line: 1}]
            symbols:
              description: Those of the names that prove a capability which the kernel lists.
              type: list
              elements: str
              sample: [ip_vs_expire_nodest_conn_flush]
            live_patches:
              description: Live patches and whether each is enabled.
              type: list
              elements: dict
              sample: [{name: kpatch_1, enabled: true}]
            changelog:
              description: Which fixes the changelog of the kernel's package names, if O(evidence) asks for it.
              type: dict
              sample: {package: kernel-4.18.0-348.el8.x86_64, source: rpm, entries: 2817, found: {respects_zero_weight: null}}
            probe:
              description: What C(ipvs_probe) measured on this kernel, if it did.
              type: dict
        sysctl:
          description: Every file of C(net/ipv4/vs) by its own name, an integer where it is one and text otherwise, and the keys below.
          returned: always
          type: dict
          contains:
            state:
              description: V(present), V(absent) (no ip_vs in this namespace), or V(unreadable).
              type: str
              sample: present
            network_namespace:
              description: V(host), or V(kube_proxy) if that runs in another one; whose values these are.
              type: str
              sample: host
            absent:
              description: Of the six keys below, those the kernel does not have.
              type: list
              elements: str
              sample: [conn_reuse_old_conntrack]
            conn_reuse_mode:
              description: The value itself.
              type: int
              sample: 0
            conntrack:
              description: C(net.ipv4.vs.conntrack)
              type: int
              sample: 1
            expire_nodest_conn:
              description: C(net.ipv4.vs.expire_nodest_conn)
              type: int
              sample: 1
            expire_quiescent_template:
              description: C(net.ipv4.vs.expire_quiescent_template)
              type: int
              sample: 1
            conn_reuse_old_conntrack:
              description: C(net.ipv4.vs.conn_reuse_old_conntrack), of TencentOS alone.
              type: int
            schedule_icmp:
              description: C(net.ipv4.vs.schedule_icmp)
              type: int
              sample: 0
        writers:
          description: Whatever sets the value, except kube-proxy.
          returned: always
          type: list
          elements: dict
          contains:
            kind:
              description: V(sysctl_file), V(ufw), V(tuned), V(modprobe), V(udev), V(unit), V(kubelet_pre_start), V(cron), V(rc_local), or V(kube_router).
              type: str
              sample: sysctl_file
            path:
              description: The file in which it stands.
              type: str
              sample: /etc/sysctl.d/99-tuning.conf
            line:
              description: Its line, null for a process.
              type: int
              sample: 3
            text:
              description: The line, at most 200 characters, secrets left out as in C(kube_proxy.argv).
              type: str
              sample: net.ipv4.vs.conn_reuse_mode = 0
            file_line:
              description: The line as the file has it, blanks in front and behind included; null if C(text) goes on over several lines of the file.
              returned: where it is not C(text)
              type: str
              sample: "  net.ipv4.vs.conn_reuse_mode = 0"
            value:
              description: What it writes, null if that cannot be known without running something.
              type: int
              sample: 0
            moments:
              description: When it fires, of V(kube_proxy_restart), V(kubelet_restart), V(reboot).
              type: list
              elements: str
              sample: [reboot]
            period_seconds:
              description: The longest gap, if it writes again and again.
              type: int
            applied_by:
              description: What reads the file, the program, or the unit.
              type: list
              elements: str
              sample: [systemd-sysctl, procps]
            wins:
              description: The moments at which it has the last word.
              type: list
              elements: str
              sample: [reboot]
            reason:
              description: Why it never fires or does not win.
              type: str
        kube_proxy:
          description: How kube-proxy is deployed, its mode and version, and how they are known.
          returned: always
          type: dict
          contains:
            running:
              description: Whether a process was seen, null for a tree without processes.
              type: bool
              sample: true
            form:
              description: V(systemd), V(daemonset), V(static_pod), V(rke2), V(container), V(k3s), V(microk8s), V(openshift_sdn), V(process), or V(none).
              type: str
              sample: systemd
            vendor:
              description: Guessed from paths and the version; decides nothing.
              type: str
              sample: kubeasz
            pid:
              description: Process id of kube-proxy, or of the program that contains it.
              type: int
              sample: 1234
            start_time:
              description: Start of the process in seconds since the epoch.
              type: float
              sample: 1790000000.25
            network_namespace:
              description: V(host) or V(other).
              type: str
              sample: host
            others:
              description: Further kube-proxies on this node.
              type: list
              elements: dict
              sample: [{pid: 4321, network_namespace: other, form: daemonset}]
            unit:
              description: The systemd unit that starts it.
              type: str
              sample: kube-proxy.service
            unit_path:
              description: File of the unit.
              type: str
              sample: /etc/systemd/system/kube-proxy.service
            unit_drop_ins:
              description: Files that change the unit.
              type: list
              elements: str
              sample: []
            unit_type:
              description: C(Type=) of the unit.
              type: str
              sample: simple
            unit_exec_start_post:
              description: The C(ExecStartPost=) lines in force, secrets left out as in C(argv).
              type: list
              elements: str
              sample: []
            unit_timeout_start_seconds:
              description: Time the unit has to start, null if that has no end.
              type: int
              sample: 90
            manifest_path:
              description: Manifest of a static pod.
              type: str
            pod_uid:
              description: Of a pod.
              type: str
            container_id:
              description: Of a container.
              type: str
            image:
              description: Image of the container.
              type: str
            argv:
              description: The command line as the process shows it, with C([redacted]) in the place of what is a secret by its name or form.
              type: list
              elements: str
              sample: [/opt/kube/bin/kube-proxy, --config=/var/lib/kube-proxy/kube-proxy-config.yaml]
            config_path:
              description: The configuration file as kube-proxy sees it.
              type: str
              sample: /var/lib/kube-proxy/kube-proxy-config.yaml
            config_read_from:
              description: Where this module read it.
              type: str
              sample: /var/lib/kube-proxy/kube-proxy-config.yaml
            config_modified:
              description: Last change of the configuration file in seconds since the epoch.
              type: float
              sample: 1789999999.0
            mode:
              description: "The best answer: V(ipvs), V(iptables), V(nftables), or V(userspace)."
              type: str
              sample: ipvs
            mode_source:
              description: V(proxy_mode_endpoint), V(log), V(config_file), V(flag), V(argument_file), or V(default).
              type: str
              sample: proxy_mode_endpoint
            mode_effective:
              description: What the process says of itself.
              type: str
              sample: ipvs
            mode_configured:
              description: What file, flags, or defaults say.
              type: str
              sample: ipvs
            ignored_flags:
              description: Flags without effect beside C(--config).
              type: list
              elements: str
              sample: [--proxy-mode=iptables]
            version:
              description: As it was found, without the leading v.
              type: str
              sample: 1.20.2
            version_source:
              description: V(metrics), V(image), V(snap), V(log), or V(binary).
              type: str
              sample: metrics
            metrics_address:
              description: Where it serves metrics, null if it does not.
              type: str
              sample: 127.0.0.1:10249
            healthz_address:
              description: Where it serves its health, null if it does not.
              type: str
              sample: 0.0.0.0:10256
            metrics_answers:
              description: Whether it answered there, null if it was not asked.
              type: bool
              sample: true
            healthz_answers:
              description: Whether it answered there, null if it was not asked.
              type: bool
              sample: true
            strict_arp:
              description: C(ipvs.strictARP)
              type: bool
              sample: false
            exclude_cidrs:
              description: C(ipvs.excludeCIDRs)
              type: list
              elements: str
              sample: []
            scheduler:
              description: C(ipvs.scheduler)
              type: str
              sample: ""
            verbosity:
              description: Of its log.
              type: int
              sample: 0
            traces:
              description: What modes leave behind; it may be left over.
              type: dict
              sample: {kube_ipvs0: true, ip_vs_services: 12, nft_table_kube_proxy: null}
            kube_router:
              description: Whether a kube-router process runs.
              type: bool
              sample: false
        table:
          description: The IPVS table.
          returned: always
          type: dict
          contains:
            state:
              description: V(present), V(absent), or V(unreadable).
              type: str
              sample: present
            services:
              description: Virtual services of all protocols and families.
              type: int
              sample: 120
            services_by_kind:
              description: The same for C(ipv4), C(ipv6), and C(fwmark).
              type: dict
              sample: {ipv4: 118, ipv6: 2, fwmark: 0}
            destinations:
              description: Real servers of all services.
              type: int
              sample: 400
            destinations_weight_zero:
              description: Those with weight 0.
              type: int
              sample: 3
            active_connections:
              description: Sum over all destinations.
              type: int
              sample: 1000
            inactive_connections:
              description: Sum over all destinations.
              type: int
              sample: 5000
            kube_ipvs0:
              description: The interface and how many addresses it has.
              type: dict
              sample: {exists: true, addresses: 90, ipv4: 88, ipv6: 2}
            stuck:
              description: Destinations with weight 0 that still have connections.
              type: int
              sample: 2
            stuck_connections:
              description: Their connections.
              type: int
              sample: 40
            stuck_worst:
              description: The 20 with most connections.
              type: list
              elements: dict
              sample: [{protocol: TCP, service: "10.96.0.10:53", destination: "10.244.1.7:8080", active: 30, inactive: 10}]
            foreign:
              description: Services that kube-proxy does not own.
              type: int
              sample: 1
            foreign_services:
              description: The first 20 of them and why.
              type: list
              elements: dict
              sample: [{protocol: TCP, service: "10.103.97.2:6443", reason: excluded_cidr}]
            unparsed_lines:
              description: Lines that were not understood.
              type: int
              sample: 0
        counters:
          description: Counters of the network stack.
          returned: always
          type: dict
          contains:
            tcp_syn_retransmits:
              description: TcpExt TCPSynRetrans.
              type: int
              sample: 12
            tcp_active_opens:
              description: Tcp ActiveOpens.
              type: int
              sample: 100000
            conntrack_insert_failed:
              description: Sum over the processors.
              type: int
              sample: 0
            conntrack_drop:
              description: Sum over the processors.
              type: int
              sample: 0
            conntrack_count:
              description: Entries in the table.
              type: int
              sample: 2000
            conntrack_max:
              description: Room in the table.
              type: int
              sample: 262144
        pressure:
          description: How many short connections the node carries.
          returned: always
          type: dict
          contains:
            ephemeral_ports:
              description: C(net.ipv4.ip_local_port_range)
              type: dict
              sample: {first: 32768, last: 60999, count: 28232}
            sampled_bytes:
              description: How much of V(/proc/net/ip_vs_conn) was looked at.
              type: int
              sample: 1048576
            sample_complete:
              description: Whether that was all.
              type: bool
              sample: false
            sampled_connections:
              description: Connections in the sample.
              type: int
              sample: 9000
            time_wait:
              description: Those in TIME_WAIT.
              type: int
              sample: 8000
            time_wait_share:
              description: Their share.
              type: float
              sample: 0.889
            busiest:
              description: The 10 pairs of a client and a service with most connections.
              type: list
              elements: dict
              sample: [{client: 10.0.0.5, service: "10.96.0.10:80", protocol: TCP, connections: 4000, time_wait: 3900}]
            connections_per_second_estimate:
              description: The kernel's own estimate.
              type: int
              sample: 210
            sample_seconds:
              description: As asked for.
              type: int
              sample: 0
            connections_per_second:
              description: Measured over C(sample_seconds).
              type: float
            growth:
              description: How much the counters grew over C(seconds).
              type: dict
              sample: {seconds: 10.0, tcp_syn_retransmits: 4, tcp_active_opens: 2100, conntrack_insert_failed: 0, conntrack_drop: 0}
        hold:
          description: What writes the value again after kube-proxy has started.
          returned: always
          type: dict
          contains:
            guards:
              description: What does so on its own.
              type: list
              elements: dict
              sample: [{kind: exec_start_post, path: /etc/systemd/system/kube-proxy.service.d/10-x.conf, line: 2, value: 1, waits: false}]
            managed:
              description: What the role P(kubeproxy.ipvs.conn_reuse_mode#role) did to this node, null if nothing.
              type: dict
              contains:
                record:
                  description: Where the role keeps what it did.
                  type: str
                  sample: /var/lib/kubeproxy.ipvs/conn_reuse_mode.json
                applied_at:
                  description: When it did so, seconds since the epoch.
                  type: float
                  sample: 1790000000.0
                facts:
                  description: The value, why, and what holds it.
                  type: dict
                  sample: {value: 1, service: true, owner_word: false}
                files:
                  description: Its files and those that it changed, and whether they are as it left them, V(intact), V(changed) or V(missing).
                  type: list
                  elements: dict
                  sample: [{path: /etc/kubeproxy.ipvs/hold, state: intact}]
                service_running:
                  description: Whether the service that goes on looking has a process. Null where that cannot be seen.
                  type: bool
                  sample: true
            service_manager:
              description: V(systemd), V(other), or null in a collected tree.
              type: str
              sample: systemd
        unreadable:
          description: What exists and could not be read or understood, at most 100.
          returned: always
          type: list
          elements: dict
          contains:
            path:
              description: The path, or the name of a part of these facts.
              type: str
              sample: /proc/net/ip_vs
            reason:
              description: Why.
              type: str
              sample: Permission denied
'''

import os
import time

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.compile_once import compile_once

# Each of a thousand nodes pays for every import below.
compile_once()

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import counters, hold, ipvs_table, kube_proxy, managed_hold, pressure
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kernel import read_kernel
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.program_path import trust_programs
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.sysctl import DECISIVE, read_sysctl, same_namespace
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.writers import read_writers

SCHEMA = 1
MAXIMUM_SAMPLE_SECONDS = 300
# A collected tree has at least one of these.
TOP = ('etc', 'proc', 'sys', 'usr', 'var', 'sos_commands')
# What a part is that nobody could read.
NOTHING_OF_KERNEL = dict.fromkeys(('release', 'version', 'machine', 'version_signature', 'ip_vs', 'ip_vs_module_available', 'symbols', 'changelog', 'probe'))
NOTHING_OF_KERNEL.update(os_release=dict.fromkeys(('id', 'version_id', 'name', 'id_like')), ip_vs_loaded_at_boot=[], live_patches=[])
NOTHING_OF_SYSCTL = dict.fromkeys(DECISIVE)
NOTHING_OF_SYSCTL.update(state='unreadable', network_namespace='host', absent=[])


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
    kernel = reader.part('kernel', dict(NOTHING_OF_KERNEL), read_kernel, node, evidence, run_command)
    units = reader.part('units', None, Units, node)
    proxy = kube_proxy.empty()
    if units is not None:
        proxy = reader.part('kube_proxy', proxy, kube_proxy.read_kube_proxy, node, units, ask, 'binary_version' in evidence, run_command)
    other = proxy['pid'] if proxy['network_namespace'] == 'other' else None
    net = _network_directory(node, other)
    table = reader.part('table', ipvs_table.empty(), ipvs_table.read_table, node, proxy['exclude_cidrs'], net)
    proxy['traces']['ip_vs_services'] = table['services']
    proxy['traces']['kube_ipvs0'] = table['kube_ipvs0']['exists']
    writers = reader.part('writers', [], read_writers, node, kernel, units, proxy) if units is not None else []
    managed = reader.part('managed', None, managed_hold.read_managed, node)
    writers = [entry for entry in writers if not managed_hold.is_ours(entry, managed)]
    return {
        'schema': SCHEMA,
        'root': node.root,
        'live': node.live,
        'collected_at': int(time.time()) if node.live else None,
        'effective_user_id': os.geteuid() if node.live else None,
        'kernel': kernel,
        'sysctl': reader.part('sysctl', dict(NOTHING_OF_SYSCTL), read_sysctl, node, other),
        'writers': writers,
        'kube_proxy': proxy,
        'table': table,
        'counters': reader.part('counters', counters.empty(), counters.read_counters, node, net),
        'pressure': reader.part('pressure', pressure.empty(sample_seconds), pressure.read_pressure, node, sample_seconds, net=net),
        'hold': reader.part('hold', hold.empty(), hold.read_hold, node, proxy, writers, managed),
        'unreadable': node.unreadable,
    }


def main():
    """Run as an Ansible module."""
    trust_programs()
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
    if not any(os.path.isdir(os.path.join(root, name)) for name in TOP):
        module.fail_json(msg='root: %s has none of %s in it: is it the top of a collected tree?' % (root, ', '.join(TOP)))
    if not 0 <= seconds <= MAXIMUM_SAMPLE_SECONDS:
        module.fail_json(msg='sample_seconds: %d is not between 0 and %d' % (seconds, MAXIMUM_SAMPLE_SECONDS))
    facts = collect(NodeFiles(root), module.params['evidence'], seconds, module.params['ask_kube_proxy'], module.run_command)
    module.exit_json(changed=False, ansible_facts={'ipvs': facts})


if __name__ == '__main__':
    main()
