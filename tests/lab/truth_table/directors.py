# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Network namespaces: one with clients, one with backends, and between them a director for each setting. Python 2.7 and 3.

The namespaces have no names and end with the process. A client reaches the VIP of director N over its link 1, the director its backends over
link 2; all addresses carry N, so that nothing that is measured at one director can be seen at another.
"""

from __future__ import absolute_import, division, print_function

import contextlib
import ctypes
import os
import re
import subprocess

CLONE_NEWNET = 0x40000000
CLIENT_LINK, BACKEND_LINK, VIP_LINK = 1, 2, 9
# The last numbers of the backends' addresses, which are also their names; below ten they look the same in IPv6.
BACKENDS = (2, 3)
BACKEND_PORT = 8080
SYSCTLS = "/proc/sys/net/ipv4/vs/"
# As kube-proxy does it in IPVS mode: only marked packets are masqueraded. Without such a rule, whatever it matches, nothing in the namespace
# asks for conntrack, and its entries, which all this is about, do not exist.
RULES = """*nat
%s-A POSTROUTING -m mark --mark 0x4000/0x4000 -j MASQUERADE
COMMIT
"""
MARK = "-A PREROUTING -d %s -p tcp --dport %d -j MARK --set-xmark 0x4000/0x4000\n"


def run(command, text):
    """Run a command with TEXT as its input; raises with what it said if it fails."""
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    output, errors = process.communicate(text.encode("ascii"))
    if process.returncode != 0:
        raise EnvironmentError("%s: %s" % (" ".join(command), (errors or output).decode("utf-8", "replace").strip()))
    return output.decode("utf-8", "replace")


def write(path, value):
    """Write a value of the kernel."""
    with open(path, "w") as handle:
        handle.write("%s\n" % value)


def address(number, link, host, family=4):
    """The address of a host on a link of a director."""
    return "10.%d.%d.%d" % (number, link, host) if family == 4 else "fd00:%x:%x::%x" % (number, link, host)


def legacy(command):
    """iptables as kernels without the nft compatibility need it."""
    name = command.replace("tables", "tables-legacy")
    return name if any(os.access(os.path.join(folder, name), os.X_OK) for folder in os.environ["PATH"].split(":")) else command


class Namespace(object):
    """A new network namespace."""

    libc = ctypes.CDLL(None, use_errno=True)

    def __init__(self):
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._check(self.libc.unshare(CLONE_NEWNET))
        self.handle = os.open("/proc/self/ns/net", os.O_RDONLY)
        self.path = "/proc/%d/fd/%d" % (os.getpid(), self.handle)
        write("/proc/sys/net/ipv6/conf/default/accept_dad", 0)
        run(["ip", "-batch", "-"], "link set lo up\n")
        self._check(self.libc.setns(before, 0))
        os.close(before)

    def _check(self, status):
        if status != 0:
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))

    @contextlib.contextmanager
    def entered(self):
        """Whatever the only thread that changes namespaces does meanwhile, it does in this one."""
        before = os.open("/proc/self/ns/net", os.O_RDONLY)
        self._check(self.libc.setns(self.handle, 0))
        try:
            yield
        finally:
            self._check(self.libc.setns(before, 0))
            os.close(before)


class Director(object):
    """The namespace with the IPVS services of one setting."""

    def __init__(self, number, setting):
        self.number = number
        self.setting = setting
        self.namespace = Namespace()

    def vip(self, family=4):
        """The address of the services."""
        return address(self.number, VIP_LINK, 1, family)

    def backend(self, name, family=4):
        """The address of a backend."""
        return address(self.number, BACKEND_LINK, name, family)

    def _service(self, case):
        vip = self.vip(case.family)
        return "-%s %s:%d" % ("u" if case.protocol == "udp" else "t", vip if case.family == 4 else "[%s]" % vip, case.port)

    def _destination(self, case, name):
        backend = self.backend(name, case.family)
        return "%s -r %s:%d" % (self._service(case), backend if case.family == 4 else "[%s]" % backend, BACKEND_PORT)

    def start(self, cases):
        """Addresses, values, rules and services, once the links are there."""
        with self.namespace.entered():
            words = ["link add name kube-ipvs0 type dummy", "link set client up", "link set backends up"]
            for link, device in ((CLIENT_LINK, "client"), (BACKEND_LINK, "backends"), (VIP_LINK, "kube-ipvs0")):
                words.append("address add %s/24 dev %s" % (address(self.number, link, 1), device))
                words.append("address add %s/64 dev %s nodad" % (address(self.number, link, 1, 6), device))
            run(["ip", "-batch", "-"], "\n".join(words) + "\n")
            write("/proc/sys/net/ipv4/ip_forward", 1)
            write("/proc/sys/net/ipv6/conf/all/forwarding", 1)
            for name in sorted(self.setting):
                write(SYSCTLS + name, self.setting[name])
            marks = "".join(MARK % (self.vip(), case.port) for case in cases if case.masqueraded)
            run([legacy("iptables-restore")], RULES % marks)
            if any(case.family == 6 for case in cases):
                run([legacy("ip6tables-restore")], RULES % "")
            lines = []
            for case in cases:
                lines.append("-A %s -s rr" % self._service(case))
                lines += ["-a %s -m -w 1" % self._destination(case, name) for name in BACKENDS]
            run(["ipvsadm", "-R"], "\n".join(lines) + "\n")

    def take_out(self, cases):
        """What kube-proxy does with a backend that is gone, to the first backend of the cases that ask for it."""
        commands = {"weight_0": "-e %s -m -w 0", "deleted": "-d %s"}
        lines = [commands[case.then] % self._destination(case, BACKENDS[0]) for case in cases if case.then]
        with self.namespace.entered():
            run(["ipvsadm", "-R"], "\n".join(lines) + "\n")

    def ipvs_states(self):
        """{(protocol, port of the service, port of the client): state} of IPVS' entries."""
        states = {}
        # The kernel counts its way through all namespaces' entries, and leaves one out when another one goes meanwhile.
        for _attempt in range(2):
            with self.namespace.entered(), open("/proc/net/ip_vs_conn") as handle:
                fields = [line.split() for line in handle.readlines()[1:]]
            states.update({(words[0].lower(), int(words[4], 16), int(words[2], 16)): words[7] for words in fields})
        return states

    def conntrack_states(self):
        """The same of the entries of conntrack, by the direction in which they were opened. UDP has no state: an empty text."""
        with self.namespace.entered(), open("/proc/net/nf_conntrack") as handle:
            found = re.findall(r"^ipv[46] .*?(tcp|udp) .*?([A-Z_]*) src=\S+ dst=\S+ sport=(\d+) dport=(\d+)", handle.read(), re.MULTILINE)
        return {(protocol, int(service), int(client)): state for protocol, state, client, service in found}


def build(settings):
    """(namespace of the clients, namespace of the backends, a director for each setting), linked and with addresses."""
    clients, backends = Namespace(), Namespace()
    directors = [Director(number, setting) for number, setting in enumerate(settings)]
    for namespace, link, device in ((clients, CLIENT_LINK, "client"), (backends, BACKEND_LINK, "backends")):
        words = []
        for director in directors:
            words.append("link add name to%d type veth peer name %s netns %s" % (director.number, device, director.namespace.path))
            words.append("link set to%d up" % director.number)
            for host in BACKENDS if link == BACKEND_LINK else (2,):
                words.append("address add %s/24 dev to%d" % (address(director.number, link, host), director.number))
                words.append("address add %s/64 dev to%d nodad" % (address(director.number, link, host, 6), director.number))
            # The clients look for the VIP, the backends for the clients.
            other = VIP_LINK if link == CLIENT_LINK else CLIENT_LINK
            words.append("route add %s/24 via %s" % (address(director.number, other, 0), address(director.number, link, 1)))
            words.append("route add %s/64 via %s dev to%d" % (address(director.number, other, 0, 6), address(director.number, link, 1, 6), director.number))
        with namespace.entered():
            run(["ip", "-batch", "-"], "\n".join(words) + "\n")
    return clients, backends, directors
