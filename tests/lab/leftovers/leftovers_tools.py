# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A node of the lab whose kube-proxy changes its mode, Services of the lab's cluster, and real runs of the module."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess

from lab_tests import TESTS, Shell, connection, lab, wait_until

CONFIGURATION = "/var/lib/kube-proxy/kube-proxy-config.yaml"
SLICES = "/apis/discovery.k8s.io/v1beta1/namespaces/default/endpointslices"
SERVICES = "/api/v1/namespaces/default/services"
# Connects to ADDRESS PORT and tells what answers. Python 2.7 and 3.
PROBE = """
import socket, sys, errno
s = socket.socket(); s.settimeout(3)
try:
    s.connect((sys.argv[1], int(sys.argv[2]))); s.sendall(b"x"); print(s.recv(64).decode() or "closed")
except socket.timeout:
    print("timeout")
except socket.error as error:
    print(errno.errorcode.get(error.errno, str(error)))
"""
# Keeps a connection to ADDRESS PORT and prints its name, then, for each line that it is given, whether it is still there.
HOLD = """
import fcntl, socket, struct, sys, termios
s = socket.create_connection((sys.argv[1], int(sys.argv[2])), 5); s.sendall(b"hold")
sys.stdout.write(s.recv(64).decode() + "\\n"); sys.stdout.flush()
for line in iter(sys.stdin.readline, ""):
    try:
        s.settimeout(2); s.sendall(b"x"); s.recv(1); said = "closed"
    except socket.timeout:
        # What was sent is acknowledged only if it arrives.
        waiting = struct.unpack("i", fcntl.ioctl(s, termios.TIOCOUTQ, struct.pack("i", 0)))[0]
        said = "hangs" if waiting else "alive"
    except socket.error:
        said = "broken"
    sys.stdout.write(said + "\\n"); sys.stdout.flush()
"""


def put_service(name, address, backends, **specification):
    """Make a Service of the cluster with these backends; a former one of this name is replaced."""
    drop_service(name)
    port = {"name": "http", "port": 80, "targetPort": 8080, "protocol": "TCP"}
    if "node_port" in specification:
        port["nodePort"] = specification.pop("node_port")
    service = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"clusterIP": address, "ports": [port], **specification}}
    made = json.loads(lab("api", "POST", SERVICES, given=json.dumps(service)))
    put_backends(name, backends)
    return made


def put_backends(name, backends):
    """Give a Service these backends and no others."""
    lab("api", "DELETE", f"{SLICES}/{name}", check=False)
    entries = [{"addresses": [address], "conditions": {"ready": True}} for address in backends]
    lab("api", "POST", SLICES, given=json.dumps({
        "apiVersion": "discovery.k8s.io/v1beta1", "kind": "EndpointSlice", "addressType": "IPv4", "endpoints": entries,
        "metadata": {"name": name, "labels": {"kubernetes.io/service-name": name}}, "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}]}))


def drop_service(name):
    """Delete a Service, if there is one."""
    lab("api", "DELETE", f"{SERVICES}/{name}", check=False)
    lab("api", "DELETE", f"{SLICES}/{name}", check=False)


class Node(Shell):
    """A node of the lab, by name. old_python: whether an Ansible is needed that still knows its Python. folder: a run_folder."""

    def __init__(self, name, old_python, folder):
        super().__init__(name, folder / "ssh")
        self._folder = folder
        self._old_python = old_python

    def mode(self):
        """The mode that kube-proxy tells."""
        return self.run("exec 3<>/dev/tcp/127.0.0.1/10249 && printf 'GET /proxyMode HTTP/1.0\\r\\n\\r\\n' >&3 && tail -n 1 <&3", check=False)

    def switch(self, mode):
        """Change the mode and wait until kube-proxy is in it."""
        self.run(f"sed -i 's/^mode: .*/mode: \"{mode}\"/' {CONFIGURATION}; systemctl restart kube-proxy")
        wait_until(lambda: self.mode() == mode, f"kube-proxy of {self.name} is in the mode {mode}")

    def probe(self, address, port, place="client-1"):
        """What answers there: a name, or how it fails. place: a namespace of a client, or "node"."""
        inside = "" if place == "node" else f"ip netns exec {place} "
        return self.run(f"{inside}lab-python -c {shlex.quote(PROBE)} {address} {port}")

    @contextlib.contextmanager
    def held(self, address, port):
        """A connection of a client that stays: a function that tells whether it is still there."""
        words = self.words(f"exec ip netns exec client-2 lab-python -c {shlex.quote(HOLD)} {address} {port}")
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        assert process.stdout.readline().strip()

        def state():
            process.stdin.write("x\n")
            process.stdin.flush()
            return process.stdout.readline().strip()

        try:
            yield state
        finally:
            process.stdin.close()
            process.wait(20)
            process.stdout.close()

    def rules(self, program="iptables-legacy-save", options=""):
        """What the program prints, without comments and the counters of chains."""
        return [line.split(" [")[0] if line.startswith(":") else line for line in self.run(f"{program} {options}").splitlines() if not line.startswith("#")]

    def module(self, mode, check=False, **options):
        """Run the module; what it returned."""
        environment = "core216" if self._old_python else "test"
        home = subprocess.run([TESTS / "environment.sh", environment], check=True, capture_output=True, text=True).stdout.strip()
        told = self._folder / "told.json"
        told.unlink(missing_ok=True)
        tasks = [
            {"kubeproxy.ipvs.kube_proxy_leftovers": {"mode": mode, "owned": "{{ '%s' | kubeproxy.ipvs.kube_proxy_leftovers }}" % mode, **options},
             "register": "result", "ignore_errors": True},
            {"ansible.builtin.copy": {"content": "{{ result | to_json }}", "dest": str(told), "mode": "0600"}, "delegate_to": "localhost", "check_mode": False,
             "vars": {"ansible_connection": "local", "ansible_python_interpreter": "{{ ansible_playbook_python }}"}},
        ]
        play = self._folder / "play.yml"
        play.write_text(json.dumps([{"hosts": self.name, "gather_facts": False, "tasks": tasks}]), encoding="utf-8")
        command = [TESTS / "run", home, "env", "ANSIBLE_SSH_CONTROL_PATH_DIR=" + str(self._folder / "cp"),
                   "ansible-playbook", "-i", connection()["inventory"], play, "--diff", *(["--check"] if check else [])]
        done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
        assert told.exists() and "Traceback" not in done.stdout + done.stderr, done.stdout + done.stderr
        return json.loads(told.read_text(encoding="utf-8"))
