# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Files of nodes, for trees that tests and the example fleet read in place of a node."""

from __future__ import annotations

CONTAINER = "c" * 64
STATIC_UID = "0123456789abcdef0123456789abcdef"
API_UID = "1b4e28ba-2fa1-11d2-883f-0016d3cca427"
BOOT_TIME = 1700000000


def write_tree(directory, files):
    """Write {path of the node: text, bytes or ('link', target)} below DIRECTORY, a pathlib.Path, and return it."""
    directory.mkdir(parents=True, exist_ok=True)
    for path, content in files.items():
        target = directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, tuple):
            target.symlink_to(content[1])
        elif isinstance(content, bytes):
            target.write_bytes(content)
        else:
            target.write_text(content, encoding="utf-8")
    return directory


def process(pid, comm, argv, cgroup="0::/", starttime=1000):
    """The files of one process below /proc. starttime: hundredths of a second after the boot."""
    fields = ["S", "1"] + ["0"] * 17 + [str(starttime)] + ["0"] * 20
    return {
        f"/proc/{pid}/comm": comm[:15] + "\n",
        f"/proc/{pid}/cmdline": "\0".join(argv) + "\0",
        f"/proc/{pid}/cgroup": cgroup + "\n",
        f"/proc/{pid}/stat": f"{pid} ({comm[:15]}) " + " ".join(fields) + "\n",
    }


def first_process():
    """What every node has: the first process and the time of its boot."""
    return {"/proc/stat": f"cpu 0\nbtime {BOOT_TIME}\n", **process(1, "systemd", ["/sbin/init"], "0::/init.scope", 1)}


def pod_cgroup(uid):
    """The control group of a best-effort pod under containerd and systemd."""
    return f"0::/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod{uid.replace('-', '_')}.slice/cri-containerd-{CONTAINER}.scope"


def kernel(release, version="#1 SMP", os_id="linux", name="Linux", version_id="1", signature=None):
    """The files that name a kernel and its distribution."""
    files = {
        "/proc/sys/kernel/osrelease": release + "\n",
        "/proc/sys/kernel/version": version + "\n",
        "/etc/os-release": f'ID="{os_id}"\nVERSION_ID="{version_id}"\nPRETTY_NAME="{name}"\n',
        "/proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n",
    }
    if signature:
        files["/proc/version_signature"] = signature + "\n"
    return files


def ipvs_sysctls(conn_reuse_mode, conntrack=1, expire_nodest_conn=1, **more):
    """/proc/sys/net/ipv4/vs with the module loaded."""
    values = {
        "conn_reuse_mode": conn_reuse_mode,
        "conntrack": conntrack,
        "expire_nodest_conn": expire_nodest_conn,
        "expire_quiescent_template": 1,
        "schedule_icmp": 0,
        **more,
    }
    return {"/proc/modules": "ip_vs_rr 16384 9 - Live 0x0\nip_vs 155648 11 ip_vs_rr, Live 0x0\n"} | {
        f"/proc/sys/net/ipv4/vs/{key}": f"{value}\n" for key, value in values.items() if value is not None
    }


def _hex(address):
    return "%02X%02X%02X%02X" % tuple(int(part) for part in address.split("."))


def ipvs_table(services):
    """/proc/net/ip_vs and kube-ipvs0 of {('TCP', '10.96.0.1', 443): [(address, port, weight, active, inactive)]}."""
    lines = [
        "IP Virtual Server version 1.2.1 (size=4096)",
        "Prot LocalAddress:Port Scheduler Flags",
        "  -> RemoteAddress:Port Forward Weight ActiveConn InActConn",
    ]
    addresses = ["1: lo    inet 127.0.0.1/8 scope host lo", "2: eth0    inet 10.0.0.17/24 brd 10.0.0.255 scope global eth0"]
    for (protocol, address, port), destinations in services.items():
        lines.append(f"{protocol}  {_hex(address)}:{port:04X} rr  ")
        lines += [
            f"  -> {_hex(host)}:{number:04X}      Masq    {weight}      {active}          {inactive}         "
            for host, number, weight, active, inactive in destinations
        ]
        if address != "10.0.0.17":
            addresses.append(f"7: kube-ipvs0    inet {address}/32 scope global kube-ipvs0")
    return {
        "/proc/net/ip_vs": "\n".join(lines) + "\n",
        "/sos_commands/networking/ip_-o_addr": "\n".join(addresses) + "\n",
        "/sys/class/net/kube-ipvs0/operstate": "down\n",
    }


def ipvs_connections(client, service, port, count, state="TIME_WAIT"):
    """/proc/net/ip_vs_conn with COUNT connections of one client to one service."""
    lines = ["Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData"]
    lines += [f"TCP {_hex(client)} {32768 + number:04X} {_hex(service)} {port:04X} 0AF40107 1F90 {state}       119" for number in range(count)]
    return {"/proc/net/ip_vs_conn": "\n".join(lines) + "\n"}


CONFIG_IPVS = (
    "apiVersion: kubeproxy.config.k8s.io/v1alpha1\nkind: KubeProxyConfiguration\nmode: ipvs\nipvs:\n  strictARP: true\n  excludeCIDRs: [10.103.97.2/32]\n"
)
KUBEASZ_UNIT = """\
[Unit]
Description=Kubernetes Kube-Proxy Server
[Service]
WorkingDirectory=/var/lib/kube-proxy
ExecStart=/opt/kube/bin/kube-proxy \\
  --config=/var/lib/kube-proxy/kube-proxy-config.yaml
Restart=always
[Install]
WantedBy=multi-user.target
"""


def systemd_kube_proxy(version, config=CONFIG_IPVS, pid=900):
    """kube-proxy as kubeasz runs it; its version stands in a log."""
    return {
        **first_process(),
        **process(
            pid,
            "kube-proxy",
            ["/opt/kube/bin/kube-proxy", "--config=/var/lib/kube-proxy/kube-proxy-config.yaml"],
            "0::/system.slice/kube-proxy.service",
            4250,
        ),
        "/etc/systemd/system/kube-proxy.service": KUBEASZ_UNIT,
        "/etc/systemd/system/multi-user.target.wants/kube-proxy.service": ("link", "/etc/systemd/system/kube-proxy.service"),
        "/var/lib/kube-proxy/kube-proxy-config.yaml": config,
        "/var/log/kube-proxy.log": (
            f"I0101 00:00:00.000000       1 server_others.go:259] Using ipvs Proxier.\nI0101 00:00:01.000000       1 server.go:650] Version: v{version}\n"
        )
        if "ipvs" in config
        else f"I0101 00:00:01.000000       1 server.go:650] Version: v{version}\n",
    }


def daemonset_kube_proxy(version, config=CONFIG_IPVS, image="registry.k8s.io/kube-proxy", pid=900):
    """kube-proxy as kubeadm runs it, under containerd."""
    return {
        **first_process(),
        **process(
            pid,
            "kube-proxy",
            ["/usr/local/bin/kube-proxy", "--config=/var/lib/kube-proxy/config.conf", "--hostname-override=node"],
            pod_cgroup(API_UID),
            4250,
        ),
        f"/proc/{pid}/root/var/lib/kube-proxy/config.conf": config,
        f"/run/containerd/io.containerd.runtime.v2.task/k8s.io/{CONTAINER}/config.json": '{"annotations": {"io.kubernetes.cri.image-name": "%s:v%s"}}'
        % (image, version),
    }


# A node of a kernel that nobody knows, which kube-proxy sets to 0.
QUIET_NODE = (
    kernel("4.19.90-24.4.v2101.ky10.x86_64", "#1 SMP Mon May 24 12:14:55 CST 2021", "kylin", "Kylin V10") | ipvs_sysctls(0) | systemd_kube_proxy("1.21.14")
)
