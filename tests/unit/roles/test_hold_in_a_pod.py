# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The script as the text of a pod's command, and how the role finds its process: the commands themselves, in every shell of this machine."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
import yaml

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.hold_daemonset import definition

ROLE = pathlib.Path(__file__).resolve().parents[3] / "roles" / "conn_reuse_mode"
SCRIPT = (ROLE / "files" / "hold").read_text(encoding="utf-8")
COMMAND = definition(1, {"node-1"}, "kube-system", "image", SCRIPT, [])["spec"]["template"]["spec"]["containers"][0]["command"]
WAIT = yaml.safe_load((ROLE / "tasks" / "daemonset_wait.yml").read_text(encoding="utf-8"))[0]["ansible.builtin.shell"]["cmd"]
SHELLS = [shell for shell in (["sh"], ["dash"], ["bash"], ["bash", "--posix"], ["busybox", "sh"], ["ksh"]) if shutil.which(shell[0])]
pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/cmdline"), reason="needs /proc")


def wait_for(condition, seconds=20):
    """Whether a condition comes true within a generous time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


@pytest.fixture
def value(tmp_path):
    """A file that stands for the value."""
    path = tmp_path / "conn_reuse_mode"
    path.write_text("0\n", encoding="ascii")
    return path


def end(process):
    """End a process and all that it has started: a shell's own children look like it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@pytest.fixture
def pod(value, tmp_path):
    """pod(words) -> a process with these words for its command, which is ended with the test."""
    started = []

    def start(words):
        # Elsewhere than where a file of that name could be.
        started.append(subprocess.Popen(words, env={**os.environ, "KUBEPROXY_IPVS_FILE": str(value)}, cwd=tmp_path, start_new_session=True))
        return started[-1]

    yield start
    for process in started:
        end(process)


@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_it_holds_without_a_file(shell, pod, value):
    process = pod([*shell, *COMMAND[1:]])
    for dummy in range(2):
        assert wait_for(lambda: value.read_text(encoding="ascii") == "1\n")
        value.write_text("0\n", encoding="ascii")
    assert wait_for(lambda: value.read_text(encoding="ascii") == "1\n")
    assert process.poll() is None


def looked_for(shell, wanted, limit=0):
    """Whether the role finds what it waits for."""
    environment = {**os.environ, "value": wanted, "limit": str(limit)}
    done = subprocess.run([*shell, "-c", WAIT], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout == "done\n"


def skip_beside_others(shell):
    """On a machine that has no such process, as it should be; a test of another checkout may run one."""
    if not looked_for(shell, ""):
        pytest.skip("another test's process is here")
    assert not looked_for(shell, "1")


@pytest.mark.skipif(not os.path.exists("/bin/sh"), reason="needs /bin/sh")
@pytest.mark.parametrize("shell", SHELLS, ids=" ".join)
def test_its_process_is_found(shell, pod):
    skip_beside_others(shell)
    process = pod(COMMAND)
    assert looked_for(shell, "1", 20)
    assert not looked_for(shell, "0")
    assert not looked_for(shell, "")
    end(process)
    assert looked_for(shell, "", 20)


def test_neither_the_service_of_the_node_nor_a_search_is_taken_for_it(pod, tmp_path):
    skip_beside_others(["sh"])
    shutil.copy(ROLE / "files" / "hold", tmp_path / "kubeproxy-ipvs-hold")
    pod(["sh", str(tmp_path / "kubeproxy-ipvs-hold"), "keep", "1"])
    pod(["sh", "-c", "exec tail -f /dev/null kubeproxy-ipvs-hold 2>/dev/null"])
    time.sleep(0.3)
    assert not looked_for(["sh"], "1")
