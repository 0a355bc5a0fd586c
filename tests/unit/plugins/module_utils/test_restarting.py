# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restarting kube-proxy: what is seen of a good start, and of each kind of bad one. The processes are real, see kube_proxy_stand_in."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import socket
import subprocess
import threading
import time

import pytest
from kube_proxy_stand_in import UNIT, VERSION, free_ports, stand_in

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import kube_proxy_restart, kube_proxy_starts, restart_course, restart_ways
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_health import Ports, look

# A slow machine must not decide a test: only what is expected to fail ever waits so long.
ENOUGH_SECONDS = 60


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch):
    monkeypatch.setattr(restart_course, "FAILED_SECONDS", 0.5)
    monkeypatch.setattr(restart_course, "UNIT_SECONDS", 0.1)
    monkeypatch.setattr(restart_course, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(kube_proxy_restart, "PAUSE_SECONDS", 0.05)
    monkeypatch.setattr(kube_proxy_restart, "SETTLE_SECONDS", 1)
    monkeypatch.setattr(kube_proxy_restart, "RETRY_SECONDS", 0.1)


@pytest.fixture
def kube_proxy(tmp_path):
    """kube_proxy(pod=..., addresses=..., behaviours=...) -> a Node whose kube-proxy runs."""
    nodes = []

    def start(behaviours=({},), **options):
        directory = tmp_path / f"node{len(nodes)}"
        directory.mkdir()
        node = stand_in(directory, **options)
        node.manager.behaviours = list(behaviours)
        nodes.append(node)
        node.manager.start()
        return node

    yield start
    for node in nodes:
        node.manager.stop()


def run_command(words, environ_update=None):
    found = subprocess.run(words, capture_output=True, text=True, env=os.environ | (environ_update or {}), check=False)
    return found.returncode, found.stdout, found.stderr


def restart(node, check_mode=False, **options):
    """The result of one run."""
    asked = {
        "restart": True,
        "wait_seconds": ENOUGH_SECONDS,
        "watch_seconds": 0.3,
        "value": None,
        "mode": None,
        "services": 0,
        "connect_seconds": 1.0,
    } | options
    directory = node.manager.directory
    programs = {"systemctl": str(node.manager.systemctl)}
    run = kube_proxy_restart.KubeProxyRestart(node, asked, programs.get, run_command, str(directory / "value"), str(directory / "lock"))
    run.run(check_mode)
    return run.result


def restarts(node):
    return [words for words in node.manager.commands if "restart" in words]


def test_a_unit(kube_proxy):
    node = kube_proxy([{}, {"writes": 0}])
    node.put_value(1)
    first = node.manager.process.pid
    result = restart(node)
    assert result["problems"] == []
    assert (result["changed"], result["method"], result["form"], result["unit"]) == (True, "systemctl", "systemd", UNIT)
    assert restarts(node) == [["--no-ask-password", "restart", UNIT]]
    before, after = result["before"], result["after"]
    assert (before["pid"], after["pid"]) == (first, node.manager.process.pid) != (first, first)
    assert (before["mode"], before["version"], before["healthy"], before["healthy_by"], before["value"]) == ("ipvs", VERSION, True, "own_listener", 1)
    assert (after["mode"], after["version"], after["healthy"], after["healthy_by"], after["value"]) == ("ipvs", VERSION, True, "own_listener", 0)
    assert before["start_time"] < after["start_time"]
    assert after["starts"] == 1
    # The value falls before it is healthy, and is seen to: within one of the looks at it, which may be late on a busy machine.
    [change] = result["value"]["changes"]
    assert change["value"] == 0
    assert 0 < change["after_seconds"] <= after["seconds"] + 1
    assert result["value"]["at_end"] == 0
    assert result["value"]["wrong_seconds"] is None
    assert result["services"] is None


def test_a_pod(kube_proxy):
    node = kube_proxy(pod=True)
    result = restart(node)
    assert result["problems"] == []
    assert (result["changed"], result["method"], result["form"], result["unit"]) == (True, "signal", "daemonset", None)
    assert len(node.manager.pids) == 2
    assert result["after"]["pid"] == node.manager.pids[1]
    assert node.manager.commands == []


def test_without_addresses_it_must_live(kube_proxy):
    node = kube_proxy(addresses=False)
    # Default addresses would be those of a real kube-proxy.
    (node.manager.directory / "config.yaml").unlink()
    result = restart(node)
    assert result["problems"] == []
    assert result["after"]["healthy_by"] == "alive"
    assert result["after"]["seconds"] >= 3


def test_only_look(kube_proxy):
    node = kube_proxy()
    result = restart(node, restart=False, value=0, mode="ipvs")
    assert (result["problems"], result["changed"], result["method"], result["after"]) == ([], False, None, None)
    assert result["before"]["healthy"]
    assert result["value"] == {"at_end": 0, "changes": [], "wrong_seconds": None}
    assert len(node.manager.pids) == 1
    assert restart(node, restart=False, value=1, mode="nftables")["problems"] == [
        "the mode is ipvs, not nftables",
        "net.ipv4.vs.conn_reuse_mode is 0, not 1",
    ]
    # Nobody needs the lock for it.
    assert not (node.manager.directory / "lock").exists()


def test_only_look_at_one_that_is_not_healthy(kube_proxy):
    node = kube_proxy([{"status": 503}])
    result = restart(node, restart=False)
    assert result["problems"] == [
        f"kube-proxy, process {node.manager.process.pid}, is not healthy: /healthz on port {node.manager.ports[0]} answers with status 503"
    ]


def test_check_mode(kube_proxy):
    node = kube_proxy()
    # What the restart would have to prove is not asked yet.
    result = restart(node, check_mode=True, value=1)
    assert (result["problems"], result["changed"], result["method"], result["after"]) == ([], True, "systemctl", None)
    assert result["before"]["healthy"]
    assert (len(node.manager.pids), restarts(node)) == (1, [])


def test_one_that_was_not_healthy_may_become_so(kube_proxy):
    node = kube_proxy([{"status": 503}, {}])
    result = restart(node)
    assert result["problems"] == []
    assert (result["before"]["healthy"], result["after"]["healthy"]) == (False, True)


def test_it_waits_for_health(kube_proxy):
    node = kube_proxy([{}, {"healthy_after": 1.0}])
    result = restart(node)
    assert result["problems"] == []
    assert result["after"]["seconds"] >= 1.0


def test_it_waits_for_the_commands_of_the_unit(kube_proxy):
    node = kube_proxy([{}, {"writes": 0}])
    node.put_value(1)
    node.manager.post_seconds = 3
    # What ExecStartPost does: it comes late, and the watch begins after it.
    timer = threading.Timer(2.5, node.put_value, [1])
    node.manager.on_restart = timer.start
    result = restart(node, value=1, watch_seconds=0.2)
    timer.join()
    assert result["problems"] == []
    assert [change["value"] for change in result["value"]["changes"]] == [0, 1]


def test_commands_of_the_unit_that_do_not_end(kube_proxy):
    node = kube_proxy()
    node.manager.post_seconds = ENOUGH_SECONDS
    result = restart(node, wait_seconds=3)
    assert result["problems"] == ["`systemctl restart` has not ended after 3 seconds"]
    assert result["after"]["healthy"]


def test_a_unit_that_is_masked(kube_proxy):
    node = kube_proxy()
    node.manager.refuses = f"Failed to restart {UNIT}: Unit {UNIT} is masked."
    result = restart(node)
    [problem] = result["problems"]
    assert problem.startswith(f"`systemctl restart {UNIT}` failed with status 1: Failed to restart {UNIT}: Unit {UNIT} is masked; process")
    assert "from before still runs; kube-proxy.service: LoadState=loaded, ActiveState=active," in problem
    assert (result["changed"], result["after"], len(node.manager.pids)) == (False, None, 1)


def test_it_never_comes_back(kube_proxy):
    node = kube_proxy([{}, None])
    result = restart(node)
    [problem] = result["problems"]
    # Long before the time is over: systemd has given up.
    assert "after its restart: no kube-proxy process runs; kube-proxy.service: LoadState=loaded, ActiveState=failed" in problem
    assert "Result=exit-code" in problem
    assert result["changed"]
    assert (result["after"]["pid"], result["after"]["healthy"], result["after"]["seconds"]) == (None, False, None)


def test_a_pod_never_comes_back(kube_proxy):
    node = kube_proxy([{}, None], pod=True)
    result = restart(node, wait_seconds=2)
    assert result["problems"] == ["kube-proxy is not healthy 2 seconds after its restart: no kube-proxy process runs"]


def test_a_pod_that_does_not_end(kube_proxy):
    node = kube_proxy([{"deaf": True}], pod=True)
    result = restart(node, wait_seconds=1)
    assert result["problems"] == [
        f"kube-proxy is not healthy 1 seconds after its restart: process {node.manager.pids[0]} from before still runs, and no other was started"
    ]
    assert (result["changed"], result["method"], result["after"]) == (False, "signal", None)


def test_commands_of_the_unit_that_fail(kube_proxy, monkeypatch):
    monkeypatch.setattr(restart_course, "FAILED_SECONDS", ENOUGH_SECONDS)
    node = kube_proxy([{}, None])
    node.manager.status = 1
    result = restart(node)
    failed, not_healthy = result["problems"]
    assert failed == f"`systemctl restart {UNIT}` failed with status 1: it said nothing"
    assert "no kube-proxy process runs; kube-proxy.service: LoadState=loaded, ActiveState=failed" in not_healthy


def test_it_comes_back_without_health(kube_proxy):
    node = kube_proxy([{}, {"status": 503}])
    result = restart(node, wait_seconds=3)
    [problem] = result["problems"]
    expected = f"kube-proxy is not healthy 3 seconds after its restart: process {node.manager.process.pid}: /healthz on port {node.manager.ports[0]}"
    assert problem.startswith(expected + " answers with status 503; kube-proxy.service:")
    assert (result["after"]["pid"], result["after"]["healthy"]) == (node.manager.process.pid, False)


def test_it_comes_back_without_its_port(kube_proxy):
    node = kube_proxy([{}, {"ports": []}])
    # As with bindAddressHardFail: false. Somebody else answers there.
    stranger = None
    deadline = time.monotonic() + ENOUGH_SECONDS
    worker = threading.Thread(target=lambda: results.append(restart(node, wait_seconds=3)))
    results = []
    worker.start()
    while stranger is None and time.monotonic() < deadline:
        try:
            stranger = socket.create_server(("127.0.0.1", node.manager.ports[0]))
        except OSError:
            time.sleep(0.01)
    worker.join()
    stranger.close()
    [problem] = results[0]["problems"]
    assert f"it does not listen on port {node.manager.ports[0]}" in problem


def test_it_comes_back_in_another_mode(kube_proxy):
    node = kube_proxy([{}, {"mode": "iptables"}])
    result = restart(node)
    assert result["problems"] == ["the mode is iptables, not ipvs"]
    assert (result["before"]["mode"], result["after"]["mode"], result["after"]["healthy"]) == ("ipvs", "iptables", True)
    # Unless that was wanted.
    assert restart(node, mode="iptables")["problems"] == []


def test_it_is_given_other_addresses(kube_proxy):
    node = kube_proxy()
    ports = free_ports(2)
    node.manager.behaviours = [{"ports": ports}]
    (node.manager.directory / "config.yaml").write_text(f"mode: ipvs\nhealthzBindAddress: 127.0.0.1:{ports[0]}\nmetricsBindAddress: 127.0.0.1:{ports[1]}\n")
    # The process that runs listens on the old ones still.
    result = restart(node)
    assert result["problems"] == []
    assert (result["before"]["healthy"], result["after"]["healthy"]) == (False, True)


def test_it_crashes_again_and_again(kube_proxy):
    node = kube_proxy([{}, {"lives": 0.4, "healthy_after": ENOUGH_SECONDS}])
    result = restart(node, wait_seconds=3)
    [problem] = result["problems"]
    assert "kube-proxy is not healthy 3 seconds after its restart" in problem
    assert f"it was started {result['after']['starts']} times" in problem
    assert result["after"]["starts"] > 1


def test_it_does_not_last(kube_proxy, monkeypatch):
    node = kube_proxy()
    watch = kube_proxy_restart.KubeProxyRestart._watch

    def end_it_first(*arguments):
        ended = node.manager.process
        ended.kill()
        while node.manager.process is ended:
            time.sleep(0.01)
        node.manager.wait_until_it_listens()
        watch(*arguments)

    monkeypatch.setattr(kube_proxy_restart.KubeProxyRestart, "_watch", end_it_first)
    result = restart(node)
    [problem] = result["problems"]
    assert "kube-proxy did not last: its process ended" in problem
    assert "it was started 2 times since the restart; kube-proxy.service:" in problem
    # What is there in the end is told nevertheless.
    assert (result["after"]["healthy"], result["after"]["starts"]) == (True, 2)
    assert result["after"]["pid"] == node.manager.pids[2]


def test_it_is_not_healthy_any_more(kube_proxy, monkeypatch):
    node = kube_proxy()
    looks = []

    def look_once(*arguments):
        looks.append(look(*arguments))
        # The look before the restart is one, too.
        if len([health for health in looks if health.healthy]) > 2:
            looks[-1].healthy, looks[-1].reason = False, "tired"
        return looks[-1]

    monkeypatch.setattr(restart_course.kube_proxy_health, "look", look_once)
    result = restart(node)
    assert result["problems"] == ["kube-proxy was healthy, but is not at the end of the watch: tired"]


def test_a_value_that_is_wrong_at_the_end(kube_proxy):
    node = kube_proxy([{}, {"writes": 0}])
    node.put_value(1)
    result = restart(node, value=1)
    assert result["problems"] == ["net.ipv4.vs.conn_reuse_mode is 0 after the restart, not 1"]
    [change] = result["value"]["changes"]
    # Wrong from that change to the end, which the watch is a part of.
    assert result["value"]["wrong_seconds"] >= 0.1
    assert change["value"] == 0


def test_a_value_that_goes(kube_proxy):
    node = kube_proxy()
    node.manager.on_restart = (node.manager.directory / "value").unlink
    result = restart(node, value=0)
    assert result["problems"] == ["net.ipv4.vs.conn_reuse_mode is not there after the restart, not 0"]
    assert result["value"]["changes"][-1]["value"] is None
    assert result["after"]["value"] is None


def test_a_value_that_is_held(kube_proxy):
    node = kube_proxy([{}, {"writes": 0}])
    node.put_value(1)
    node.manager.post_seconds = 1
    ends = threading.Event()

    def hold():
        while not ends.wait(0.02):
            if node.value() == "0":
                time.sleep(0.2)
                node.put_value(1)

    holder = threading.Thread(target=hold)
    holder.start()
    result = restart(node, value=1, watch_seconds=1)
    ends.set()
    holder.join()
    assert result["problems"] == []
    fell, rose = result["value"]["changes"]
    assert (fell["value"], rose["value"], result["value"]["at_end"]) == (0, 1, 1)
    assert result["value"]["wrong_seconds"] == pytest.approx(rose["after_seconds"] - fell["after_seconds"], abs=0.02)


def test_a_value_about_which_two_fight(kube_proxy):
    node = kube_proxy()
    ends = threading.Event()

    def fight():
        while not ends.wait(0.12):
            node.put_value(1 - int(node.value()))

    fighter = threading.Thread(target=fight)
    fighter.start()
    result = restart(node, value=1, watch_seconds=1.5)
    ends.set()
    fighter.join()
    [problem] = result["problems"]
    # Which of the two comes out last is chance.
    assert "in the second half of the watch" in problem or "0 after the restart" in problem
    assert 0 < result["value"]["wrong_seconds"]
    assert len(result["value"]["changes"]) > 5


@pytest.fixture
def services():
    """services(count) -> [listening socket on 127.0.0.1]."""
    opened = []

    def start(count):
        opened.extend(socket.create_server(("127.0.0.1", 0)) for dummy in range(count))
        return opened[-count:]

    yield start
    for server in opened:
        server.close()


def port_of(server):
    return server.getsockname()[1]


def test_services_that_answer(kube_proxy, services):
    node = kube_proxy()
    answering = services(3)
    [silent] = free_ports(1)
    node.put_services([("127.0.0.1", port_of(server), 1) for server in answering] + [("127.0.0.1", silent, 1), ("127.0.0.1", 1, 0)])
    result = restart(node, services=20)
    # The one that never answered proves nothing, the one without a backend is not asked.
    assert result["problems"] == []
    assert result["services"] == {"tried": 4, "answered_before": 3, "answered_after": 3, "lost": []}
    looked = restart(node, restart=False, services=2)
    assert looked["services"]["tried"] == 2
    assert looked["services"]["answered_after"] is None


def test_a_service_that_is_lost(kube_proxy, services):
    node = kube_proxy()
    kept, lost = services(2)
    node.put_services([("127.0.0.1", port_of(server), 1) for server in (kept, lost)])
    port = port_of(lost)
    node.manager.on_restart = lost.close
    result = restart(node, services=20)
    assert result["services"] == {"tried": 2, "answered_before": 2, "answered_after": 1, "lost": [f"127.0.0.1:{port}"]}
    assert result["problems"] == [
        f"1 of 2 Services that answered before the restart do not answer after it: 127.0.0.1:{port} ({os.strerror(errno.ECONNREFUSED)})"
    ]
    assert result["after"]["healthy"]


def test_a_service_that_leaves_the_table(kube_proxy, services):
    node = kube_proxy()
    kept, gone = services(2)
    node.put_services([("127.0.0.1", port_of(server), 1) for server in (kept, gone)])
    after = [("127.0.0.1", port_of(kept), 1), ("127.0.0.1", port_of(gone), 0)]
    node.manager.on_restart = lambda: node.put_services(after)
    result = restart(node, services=20)
    # Something listens there, but not because of kube-proxy.
    assert result["services"]["lost"] == [f"127.0.0.1:{port_of(gone)}"]
    assert "no longer in the IPVS table" in result["problems"][0]


def test_a_service_that_comes_late(kube_proxy, services, monkeypatch):
    monkeypatch.setattr(kube_proxy_restart, "SETTLE_SECONDS", ENOUGH_SECONDS)
    node = kube_proxy()
    [late] = services(1)
    port = port_of(late)
    node.put_services([("127.0.0.1", port, 1)])
    again = []
    timer = threading.Timer(1.5, lambda: again.append(socket.create_server(("127.0.0.1", port))))

    def close_for_a_while():
        late.close()
        timer.start()

    node.manager.on_restart = close_for_a_while
    result = restart(node, services=20)
    timer.join()
    again[0].close()
    assert result["problems"] == []
    assert result["services"] == {"tried": 1, "answered_before": 1, "answered_after": 1, "lost": []}


def test_services_are_tried_even_if_kube_proxy_is_gone(kube_proxy, services):
    node = kube_proxy([{}, None])
    [kept] = services(1)
    node.put_services([("127.0.0.1", port_of(kept), 1)])
    result = restart(node, services=20)
    assert len(result["problems"]) == 1
    assert result["services"] == {"tried": 1, "answered_before": 1, "answered_after": 1, "lost": []}


def test_no_services_without_ipvs(kube_proxy, services):
    node = kube_proxy([{"mode": "iptables"}])
    [leftover] = services(1)
    node.put_services([("127.0.0.1", port_of(leftover), 1)])
    assert restart(node, restart=False, services=20)["services"] is None


def test_a_number_that_is_another_process_by_now(kube_proxy):
    node = kube_proxy(pod=True)
    life = kube_proxy_starts.life_of(node, node.manager.process.pid)
    life.start += 1
    with pytest.raises(restart_ways.CannotRestart, match=f"process {life.pid} ended by itself before"):
        restart_ways.ProcessEnd(node, life).begin()
    time.sleep(0.1)
    assert node.manager.process.poll() is None


def test_a_process_that_has_ended_but_is_not_forgotten(kube_proxy):
    node = kube_proxy()
    child = subprocess.Popen(["sleep", "60"])
    assert kube_proxy_starts.lives_on(node, kube_proxy_starts.life_of(node, child.pid))
    child.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + ENOUGH_SECONDS
    while kube_proxy_starts.life_of(node, child.pid) is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert kube_proxy_starts.life_of(node, child.pid) is None
    child.wait()


def test_a_program_that_somebody_runs_by_hand_is_not_the_new_one(kube_proxy):
    node = kube_proxy()
    facts = {"pid": node.manager.process.pid, "start_time": None}
    starts = kube_proxy_starts.Starts(node, facts)
    assert (starts.look(), starts.ended()) == (None, False)
    script = node.manager.directory / "by_hand.py"
    # A child of kube-proxy has its name too, until it is another program.
    script.write_text(
        "import ctypes, os, time\nctypes.CDLL(None).prctl(15, b'kube-proxy', 0, 0, 0)\nif os.fork():\n    os.wait()\ntime.sleep(60)\n",
    )
    process = subprocess.Popen(["kube-proxy", str(script)], executable=os.path.realpath("/proc/self/exe"), start_new_session=True)
    try:
        children = f"/proc/{process.pid}/task/{process.pid}/children"
        deadline = time.monotonic() + ENOUGH_SECONDS
        child = ""
        while not child and time.monotonic() < deadline:
            with open(children, encoding="ascii") as handle:
                child = handle.read().strip()
        node.manager.pids += [process.pid, int(child)]
        time.sleep(0.3)
        # Of the two that are new, the child is left out. The control group of both is the unit's here.
        assert starts.look().pid == process.pid
        assert len(starts.started) == 1
        # In a control group of its own, it is not the unit's process at all.
        starts = kube_proxy_starts.Starts(node, facts)
        node.cgroup = "/user.slice/user-0.slice/session-1.scope"
        assert (starts.look(), starts.started) == (None, [])
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def test_no_kube_proxy(kube_proxy):
    node = kube_proxy([None])
    for options in ({"restart": True}, {"restart": False}, {"check_mode": True}):
        result = restart(node, **options)
        # Its unit is there.
        assert result["problems"] == ["kube-proxy does not run"]
        assert (result["changed"], result["form"], result["before"]["pid"], result["before"]["value"]) == (False, "systemd", None, 0)
    (node.tree / f"etc/systemd/system/{UNIT}").unlink()
    assert restart(node)["problems"] == ["there is no kube-proxy on this node"]


@pytest.mark.parametrize(
    ("cgroup", "problem"),
    [
        ("/user.slice/user-0.slice/session-1.scope", "nobody knows what starts kube-proxy (process {pid}) again"),
    ],
)
def test_forms_that_are_not_restarted(kube_proxy, cgroup, problem):
    node = kube_proxy()
    node.cgroup = cgroup
    for options in ({}, {"check_mode": True}):
        result = restart(node, **options)
        assert result["problems"][0].startswith(problem.format(pid=node.manager.process.pid))
        assert not result["changed"]
    # Looking is another thing.
    assert restart(node, restart=False)["problems"] == []
    assert len(node.manager.pids) == 1


def test_another_network_namespace(kube_proxy, monkeypatch):
    node = kube_proxy()
    link = node.link
    monkeypatch.setattr(node, "link", lambda path: "net:[1]" if path == "/proc/1/ns/net" else link(path))
    for options in ({}, {"restart": False}):
        [problem] = restart(node, **options)["problems"]
        assert problem == f"the kube-proxy of process {node.manager.process.pid} is not in the network namespace of the host"


def test_without_systemctl(kube_proxy):
    node = kube_proxy()
    node.manager.systemctl = ""
    assert restart(node)["problems"] == ["there is no systemctl on this node"]
    node.manager.systemctl = node.manager.directory / "value"
    [problem] = restart(node)["problems"]
    assert problem.endswith("value cannot be run: Permission denied")


def test_two_runs_at_once(kube_proxy):
    node = kube_proxy()
    with (node.manager.directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert restart(node, wait_seconds=1)["problems"] == ["another run restarts kube-proxy on this node all the time"]
        assert len(node.manager.pids) == 1
        threading.Timer(0.5, fcntl.flock, [lock, fcntl.LOCK_UN]).start()
        result = restart(node)
    assert result["problems"] == []
    assert result["changed"]


def test_a_look_waits_for_the_restart_of_another_run(kube_proxy):
    node = kube_proxy()
    with (node.manager.directory / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        node.put_value(1)
        assert restart(node, restart=False, wait_seconds=1)["problems"] == ["another run restarts kube-proxy on this node all the time"]

        def end():
            node.put_value(0)
            fcntl.flock(lock, fcntl.LOCK_UN)

        threading.Timer(0.5, end).start()
        assert restart(node, restart=False, value=0)["problems"] == []


def test_a_lock_that_is_a_link(kube_proxy):
    node = kube_proxy()
    (node.manager.directory / "lock").symlink_to("elsewhere")
    # Only a restart needs it.
    assert restart(node, restart=False)["problems"] == []
    [problem] = restart(node)["problems"]
    assert problem.startswith(f"{node.manager.directory}/lock cannot be written")
    assert not (node.manager.directory / "elsewhere").exists()


def test_whose_listener_it_is_cannot_be_seen(kube_proxy, monkeypatch):
    node = kube_proxy()
    names = node.names
    monkeypatch.setattr(node, "names", lambda path: None if path.endswith("/fd") else names(path))
    result = restart(node, restart=False)
    assert (result["problems"], result["before"]["healthy_by"]) == ([], "address")


def test_ports_of_unknown_settings(kube_proxy):
    node = kube_proxy()
    ports = Ports({"healthz_address": None, "metrics_address": None, "mode_configured": None})
    ports.guess(node, node.manager.process.pid)
    # It listens on none of the usual ones.
    assert (ports.healthz, ports.metrics) == (None, None)
    assert not look(node, node.manager.process.pid, ports, 1).healthy
    assert look(node, node.manager.process.pid, ports, 3.5).by == "alive"
