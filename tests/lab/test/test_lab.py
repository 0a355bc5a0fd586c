# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The lab's promises about itself: what was killed is started again, what ended is gone."""

from __future__ import annotations

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import time

import pytest

from kubeproxy_lab.lab import folder as lab_folder

LAB = pathlib.Path(__file__).parent.parent / "lab"
NODE = "fixed-below-5-9"


def lab(*words, check=True, **options):
    """Run the tool; what it did."""
    return subprocess.run([LAB, *words], check=check, capture_output=True, text=True, timeout=1800, **options)


def processes():
    """The running processes that have to do with this lab: its keeper, nodes and control plane, each with its namespaces."""
    found = {}
    for path in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if str(lab_folder()).encode() in (path / "cmdline").read_bytes():
                found[path.name] = {os.readlink(path / "ns" / kind) for kind in ("net", "mnt", "pid")}
        except OSError:
            continue
    return found


def namespaces():
    """The namespaces that processes of this machine are in: one without processes, mounts and links does not exist."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/ns"):
        with contextlib.suppress(OSError):
            found.update(os.readlink(path / kind) for kind in ("net", "mnt", "pid"))
    return found


def machine():
    """What a lab must not change on this machine, or leave on it. Its namespaces have no names, so that none can be left that way."""
    links = subprocess.run(["ip", "-brief", "link"], check=True, capture_output=True, text=True).stdout
    named = subprocess.run(["ip", "netns", "list"], check=True, capture_output=True, text=True).stdout
    return {
        "links": sorted(line.split()[0] for line in links.splitlines()),
        "named namespaces": named,
        "mounts": pathlib.Path("/proc/mounts").read_text(encoding="utf-8"),
        "apt": sorted((str(path), path.stat().st_mtime_ns) for path in pathlib.Path("/etc/apt").rglob("*")),
    }


def assert_nothing_left(before):
    """This machine is as it was, and no process of the lab runs."""
    assert processes() == {}
    assert machine() == before


@pytest.fixture(name="before", scope="module")
def before_fixture():
    """The machine before there was a lab; afterwards the lab is down in any case."""
    lab("down")
    yield machine()
    lab("down")


def test_a_lab_starts_and_leaves_nothing(before):
    """After `down` this machine is as it was; no link, mount or namespace is its own while the lab runs either."""
    lab("up", NODE)
    assert lab("ssh", NODE, "cat /proc/sys/net/ipv4/vs/conn_reuse_mode").stdout == "0\n"
    own = set.union(*processes().values()) - {os.readlink(f"/proc/self/ns/{kind}") for kind in ("net", "mnt", "pid")}
    assert len(own) == 3, "this test sees the namespaces of a running lab"
    assert machine() == before
    lab("down")
    assert_nothing_left(before)
    assert not own & namespaces()


@pytest.mark.parametrize("seconds", [0.5, 1.0, 2.0, 4.0, 7.0])
def test_a_killed_start_is_started_again(before, seconds):
    """`kill -9` of the tool at some point of its work; the next one clears what it left, or goes on with it."""
    with subprocess.Popen([LAB, "up", NODE], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as tool:
        time.sleep(seconds)
        os.killpg(tool.pid, signal.SIGKILL)
    lab("up", NODE)
    assert lab("ssh", NODE, "hostname").stdout == f"{NODE}\n"
    lab("down")
    assert_nothing_left(before)


def test_ctrl_c_is_no_traceback(before):
    """Ctrl-C ends the tool at once, and quietly."""
    with subprocess.Popen([LAB, "up", NODE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True) as tool:
        time.sleep(3)
        os.killpg(tool.pid, signal.SIGINT)
        errors = tool.communicate(timeout=30)[1]
    assert "Traceback" not in errors
    lab("down")
    assert_nothing_left(before)


def test_a_disk_outlives_reboot_and_power_cut(before):
    """What was written before is there after `systemctl reboot` and after the power was taken."""
    assert before
    lab("up", NODE)
    boot = lab("ssh", NODE, "cat /proc/sys/kernel/random/boot_id; echo one >/root/one; sync").stdout
    lab("ssh", NODE, "systemctl reboot", check=False)
    deadline = time.monotonic() + 120
    while True:
        again = lab("ssh", NODE, "cat /proc/sys/kernel/random/boot_id /root/one", check=False).stdout
        if again.endswith("one\n") and again.splitlines()[0] != boot.strip():
            break
        assert time.monotonic() < deadline, "the node came back"
        time.sleep(1)
    lab("ssh", NODE, "echo two >/root/two; sync")
    lab("stop", NODE)
    lab("up", NODE)
    assert lab("ssh", NODE, "cat /root/one /root/two").stdout == "one\ntwo\n"


def test_up_leaves_a_running_node_as_it_is(before):
    """A second `up` starts nothing anew."""
    assert before
    boots = []
    for _time in range(2):
        lab("up", NODE)
        boots.append(lab("ssh", NODE, "cat /proc/sys/kernel/random/boot_id").stdout)
    assert boots[0] == boots[1]


def test_the_api_server_and_kube_proxy_are_real(before):
    """A Service that is posted appears in the node's IPVS table; the metrics tell kube-proxy's version."""
    assert before
    lab("up", NODE)
    body = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "seen"}, "spec": {"clusterIP": "10.96.7.7", "ports": [{"port": 7777}]}}
    lab("api", "POST", "/api/v1/namespaces/default/services", input=json.dumps(body))
    deadline = time.monotonic() + 30
    while "10.96.7.7:7777" not in lab("ssh", NODE, "ipvsadm -Ln").stdout:
        assert time.monotonic() < deadline, "kube-proxy made the Service"
        time.sleep(0.5)
    script = "import urllib.request; print(urllib.request.urlopen('http://127.0.0.1:10249/metrics').read().decode())"
    assert 'git_version="v1.20.2"' in lab("ssh", NODE, f'lab-python -c "{script}" | grep kubernetes_build_info').stdout


@pytest.mark.parametrize(("words", "sentence"), [
    (["up", "no-such-node"], "nodes.yml has no no-such-node; it has "),
    (["ssh", NODE, "true"], "the lab is down; `lab up` starts it"),
    (["run", "no-such-kernel", "/", "true"], "there is no kernel no-such-kernel; kernels.yml has "),
])
def test_errors_are_sentences(before, words, sentence):
    """A wrong name or state is said in one line."""
    assert before
    lab("down")
    done = lab(*words, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"lab: {sentence}") and done.stderr.count("\n") == 1


def tool(tmp_path, apt, *words):
    """Run the tool with a cache of its own in TMP_PATH, and a shell script in the place of apt-get; what it did."""
    script = tmp_path / "bin" / "apt-get"
    script.parent.mkdir(exist_ok=True)
    script.write_text(f"#!/bin/sh\n{apt}\n", encoding="utf-8")
    script.chmod(0o755)
    environment = subprocess.run([LAB.parent.parent / "environment.sh", "test"], check=True, capture_output=True, text=True).stdout.strip()
    command = [f"{environment}/bin/python", "-m", "kubeproxy_lab", *words]
    variables = {**os.environ, "PATH": f"{script.parent}:{os.environ['PATH']}", "XDG_CACHE_HOME": str(tmp_path), "PYTHONPATH": str(LAB.parent)}
    return subprocess.run(command, check=False, capture_output=True, text=True, env=variables, timeout=600)


def test_no_network_is_a_sentence(tmp_path):
    """Without packages and without a cache: what could not be done, and no traceback."""
    done = tool(tmp_path, "echo 'E: Could not resolve the mirror' >&2; exit 100", "up", NODE)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "no Debian mirror answers" in done.stderr or "Could not resolve the mirror" in done.stderr


def test_without_the_older_debian_the_rest_is_there(before, tmp_path):
    """The day on which the mirror no longer serves bullseye: its kernel is missing, a node with Python 2.7 gets 3, and both are said."""
    assert before
    lab("kernels")
    lab("up", "unfixed")
    lab("down")
    artifacts = tmp_path / "kubeproxy.ipvs" / "lab" / "artifacts"
    artifacts.mkdir(parents=True)
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache") / "kubeproxy.ipvs" / "lab" / "artifacts"
    for path in cache.iterdir():
        if not path.name.startswith(("kernel-debian-5.10", "root-python2.7", "debian-bullseye")):
            (artifacts / path.name).symlink_to(path)
    gone = "case \"$*\" in *bullseye*) echo 'E: The repository has no Release file.' >&2; exit 100 ;; esac; exec /usr/bin/apt-get \"$@\""
    done = tool(tmp_path, gone, "kernels")
    assert done.returncode == 0, done.stderr
    lines = dict(line.split("\t") for line in done.stdout.splitlines())
    assert lines["debian-5.10"].startswith("missing: Debian bullseye is not served by this machine's mirror")
    assert {word for name, word in lines.items() if name != "debian-5.10"} == {"available"}
    done = tool(tmp_path, gone, "up", "unfixed")
    try:
        assert done.returncode == 0, done.stderr
        assert "SKIPPED: Python 2.7 on the node unfixed, which gets Python 3" in done.stderr
    finally:
        tool(tmp_path, gone, "down")
