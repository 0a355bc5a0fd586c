# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Inside a kernel, as root: ask it many times, in all circumstances, and print a line of JSON for each. Python 2.7 and 3.

inside.py RUNS: RUNS probes, some with each way to have conntrack track, some under load, some that are ended in the middle. PATH is empty:
there is neither ip nor ipvsadm nor anything else. What can be seen of the node is compared before and after each of them.
inside.py RUNS busy: only RUNS probes under load, while whoever started this keeps all processors of the machine busy.
"""

from __future__ import absolute_import, division, print_function

import glob
import json
import os
import random
import signal
import subprocess
import sys
import time

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import probe_run
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.nfnetlink import is_there
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles

NETWORK = ("dev_mcast", "fib_trie", "route", "if_inet6", "ipv6_route", "arp", "ip_vs", "ip_vs_conn", "nf_conntrack", "packet", "ip_tables_names")
FILES = ["/proc/net/" + name for name in NETWORK] + ["/proc/self/mounts"]
FOLDERS = ("/run", "/tmp", "/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv4/vs", "/sys/class/net")
# They count what everybody does, or are drawn anew at each reading.
RESTLESS = ("nf_conntrack_count", "random", "fib_multipath", "stable_secret")
# The kernel takes namespaces down behind the back of the process that ended.
SECONDS = 10
KILLS = 10
LOADED = 5
BURNERS = 4
WAYS = ("service", "rule")
NODE = NodeFiles()


def there(name):
    """Whether the kernel has a module."""
    return is_there(NODE, name)


def content(path):
    """The text of a file, None if it cannot be read."""
    try:
        with open(path) as handle:
            return handle.read()
    except (IOError, OSError, ValueError):
        return None


def modules():
    """{module: how often it is used}."""
    return dict(line.split()[0:3:2] for line in (content("/proc/modules") or "").splitlines())


def processes():
    """The command lines of all processes but the kernel's."""
    found = [content(path) for path in glob.glob("/proc/[0-9]*/cmdline")]
    return sorted(text.replace("\0", " ") for text in found if text)


def namespaces():
    """The network namespaces of all processes."""
    found = set()
    for path in glob.glob("/proc/[0-9]*/ns/net"):
        try:
            found.add(os.readlink(path))
        except OSError:
            pass
    return sorted(found)


def sysctls():
    """All values of the network."""
    found = {}
    for folder, _folders, names in os.walk("/proc/sys/net"):
        for name in names:
            path = os.path.join(folder, name)
            if not any(word in path for word in RESTLESS):
                found[path] = content(path)
    return found


def node():
    """All that can be seen of the node."""
    seen = {path: content(path) for path in FILES}
    seen.update({path: sorted(os.listdir(path)) for path in FOLDERS})
    seen.update(modules=modules(), processes=processes(), namespaces=namespaces(), sysctls=sysctls(), open_files=len(os.listdir("/proc/self/fd")))
    return seen


def differences(before):
    """What differs on the node, once the kernel has taken the namespaces down."""
    until = time.time() + SECONDS
    while True:
        after = node()
        found = sorted(name for name in before if before[name] != after[name])
        if not found or time.time() > until:
            return ["%s: %r, then %r" % (name, before[name], after[name]) if name != "sysctls" else name for name in found]
        time.sleep(0.05)


def tell(phase, before, **more):
    """A line of JSON, with what has changed on the node."""
    print(json.dumps(dict(more, phase=phase, changed=differences(before)), sort_keys=True))
    sys.stdout.flush()


def killed(number):
    """A probe of which the process that began it is ended after some time: what is left of it."""
    child = os.fork()
    if child == 0:
        try:
            probe_run.probe(there)
        finally:
            os._exit(0)
    time.sleep(random.uniform(0.02, 1.2))
    os.kill(child, number)
    return os.waitpid(child, 0)[1]


def child_killed():
    """A probe of which the process that measures is ended: its answer."""
    killer = os.fork()
    if killer == 0:
        until = time.time() + 5
        while time.time() < until:
            for path in glob.glob("/proc/[0-9]*/stat"):
                words = (content(path) or "").rsplit(")", 1)[-1].split()
                if words and words[1] == "%d" % os.getppid() and "/%d/" % os.getpid() not in path:
                    time.sleep(0.1)
                    try:
                        os.kill(int(path.split("/")[2]), signal.SIGKILL)
                    except OSError:
                        pass
                    os._exit(0)
        os._exit(0)
    result = probe_run.probe(there)
    os.waitpid(killer, 0)
    return result


def under_load(before, count):
    """Probes beside more work than the processor can do."""
    burners = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _number in range(BURNERS)]
    results = [probe_run.probe(there) for _number in range(count)]
    for burner in burners:
        burner.kill()
        burner.wait()
    for result in results:
        tell("load", before, result=result)


def main():
    """Print them."""
    loaded = modules()
    print(json.dumps({"phase": "refused", "refused": probe_run.refusal(there), "changed": [] if modules() == loaded else ["modules"]}))
    for name in probe_run.MODULES + probe_run.RULE_MODULES:
        with open(os.devnull, "w") as nothing:
            subprocess.call(["modprobe", "-q", name], stdout=nothing, stderr=nothing)
    os.environ["PATH"] = "/nonexistent"
    before = node()
    print(json.dumps({"phase": "may run", "refused": probe_run.refusal(there), "changed": []}))
    if sys.argv[2:] == ["busy"]:
        under_load(before, int(sys.argv[1]))
        return
    for _number in range(int(sys.argv[1])):
        tell("probe", before, result=probe_run.probe(there))
    for way in WAYS:
        if way != "rule" or all(there(name) for name in probe_run.RULE_MODULES):
            tell("way " + way, before, result=probe_run.probe(there, ways=(way,)))
    tell("always", before, result=probe_run.probe(there, ways=("always",)))
    tell("limit", before, result=probe_run.probe(there, limit=0.2))
    for number in (signal.SIGKILL, signal.SIGTERM):
        for _number in range(KILLS // 2):
            tell("killed", before, status=killed(number))
    tell("child killed", before, result=child_killed())
    under_load(before, LOADED)


if __name__ == "__main__":
    main()
