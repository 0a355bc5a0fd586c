# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""When a probe may run, the process that measures, and connections of this machine to itself. No namespace is made."""

from __future__ import annotations

import os
import signal
import socket
import threading
import time

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import probe_connections, probe_measurement, probe_run
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.netlink import NetlinkError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_connections import Connection, Servers, run_all
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_judgment import Measured
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.probe_measurement import ProbeProblem

EMPTY = Measured({}, ["nothing was measured"])


def there(_name):
    return True


@pytest.mark.parametrize("user, absent_modules, absent_values, sentence", [
    (1000, (), (), "it needs root, to make network namespaces"),
    (0, ("ip_vs", "veth"), (), "not loaded: ip_vs, veth. No module is loaded unless load_module is set"),
    (0, (), ("conn_reuse_mode",), "this kernel has no net.ipv4.vs.conn_reuse_mode"),
    (0, (), ("conntrack",), "this kernel has no net.ipv4.vs.conntrack"),
    (0, (), (), None),
])
def test_where_it_may_run(user, absent_modules, absent_values, sentence):
    refused = probe_run.refusal(lambda name: name not in absent_modules, lambda path: path.rsplit("/", 1)[1] not in absent_values, lambda: user)
    assert refused == sentence


def test_without_ctypes_it_may_not_run(monkeypatch):
    monkeypatch.setattr(probe_run.probe_namespaces, "ctypes", None)
    assert "no ctypes" in probe_run.refusal(there, lambda _path: True, lambda: 0)


class Measuring:
    """In place of a Measurement: does what it is told."""

    way = "service"

    def __init__(self, done):
        self.run = done

    def close(self):
        pass


@pytest.fixture
def measuring(monkeypatch):
    """Has the process that measures do something else, where it is."""

    def use(done):
        monkeypatch.setattr(probe_run, "unshare_network", lambda: None)
        monkeypatch.setattr(probe_run, "Measurement", lambda _rule, _ways: Measuring(done))

    return use


def failing(error):
    def run():
        raise error

    return run


@pytest.mark.parametrize("done, reason", [
    (lambda: EMPTY, "nothing was measured"),
    (failing(ProbeProblem("no way")), "no way"),
    (failing(NetlinkError("Operation not permitted", 1)), "Operation not permitted"),
    (failing(OSError(28, "No space left on device")), "a network namespace could not be made or used: No space left on device"),
    (failing(ValueError("odd")), "not understood: ValueError: odd"),
    (lambda: os.kill(os.getpid(), signal.SIGKILL), "the process that measures was ended"),
])
def test_whatever_happens_there_is_a_sentence(measuring, done, reason):
    measuring(done)
    result = probe_run.probe(there)
    assert (result["answer"], result["reason"]) == ("inconclusive", reason)
    assert {one["state"] for one in result["capabilities"].values()} == {"unknown"}
    assert result["kernel"] == {"release": os.uname()[2], "version": os.uname()[3]}


def test_namespaces_are_not_permitted(monkeypatch):
    monkeypatch.setattr(probe_run, "unshare_network", failing(OSError(1, "Operation not permitted")))
    assert probe_run.probe(there)["reason"] == "network namespaces are not permitted here: Operation not permitted"


def test_it_does_not_take_longer_than_its_limit(measuring):
    measuring(lambda: time.sleep(60))
    began = time.monotonic()
    result = probe_run.probe(there, limit=0.3)
    assert 0.3 <= time.monotonic() - began < 5
    assert result["reason"].startswith("it took longer than")


def test_nothing_stays_open_or_running(measuring):
    measuring(lambda: EMPTY)
    before = sorted(os.listdir("/proc/self/fd"))
    probe_run.probe(there)
    assert sorted(os.listdir("/proc/self/fd")) == before
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_the_process_ends_with_the_one_that_began_it(measuring, tmp_path):
    """Also if that has no time for anything."""
    place = tmp_path / "process"

    def done():
        place.write_text(str(os.getpid()), encoding="ascii")
        time.sleep(60)

    measuring(done)
    child = os.fork()
    if child == 0:
        try:
            probe_run.probe(there)
        finally:
            os._exit(0)
    until = time.monotonic() + 10
    while not (place.exists() and place.read_text(encoding="ascii")) and time.monotonic() < until:
        time.sleep(0.01)
    measures = int(place.read_text(encoding="ascii"))
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)

    def runs():
        try:
            with open(f"/proc/{measures}/stat", encoding="ascii") as handle:
                return handle.read().rsplit(")", 1)[1].split()[0] != "Z"
        except OSError:
            return False

    while runs() and time.monotonic() < until:
        time.sleep(0.01)
    assert not runs()


@pytest.fixture
def servers():
    answering = Servers(0)
    yield answering
    answering.close()


def port_of(listening):
    return listening.socket.getsockname()[1]


def test_connections_are_answered_and_timed(servers):
    connections = [Connection(("127.0.0.1", 0), (f"127.0.0.{host}", port_of(servers))) for host in (2, 3)]
    run_all(connections, servers)
    assert [connection.server for connection in connections] == ["2", "3"]
    assert all(connection.error is None and connection.repeated == 0 and 0 <= connection.seconds < 1 for connection in connections)
    assert all(connection.socket.fileno() == -1 for connection in connections)


def test_a_connection_is_refused(servers):
    refusing = socket.socket()
    refusing.bind(("127.0.0.1", 0))
    connection = Connection(("127.0.0.1", 0), ("127.0.0.1", refusing.getsockname()[1]))
    run_all([connection], servers)
    refusing.close()
    assert connection.error == "Connection refused" and connection.server is None


def test_a_port_that_is_used_already(servers):
    connection = Connection(("127.0.0.1", port_of(servers)), ("127.0.0.1", port_of(servers)))
    run_all([connection], servers)
    assert connection.error == "Address already in use" and connection.socket.fileno() == -1


def test_a_server_that_says_nothing(servers):
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(1)
    connection = Connection(("127.0.0.1", 0), silent.getsockname())
    run_all([connection], servers, limit=0.2)
    assert connection.error == "no answer" and connection.seconds is not None and connection.server is None
    silent.close()


def test_a_server_that_closes_without_a_word(servers):
    rude = socket.socket()
    rude.bind(("127.0.0.1", 0))
    rude.listen(1)

    def close_at_once():
        rude.accept()[0].close()

    thread = threading.Thread(target=close_at_once)
    thread.start()
    connection = Connection(("127.0.0.1", 0), rude.getsockname())
    run_all([connection], servers, limit=5)
    thread.join()
    rude.close()
    assert connection.error == "closed without an answer"


def test_a_value_that_does_not_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(probe_measurement.probe_conntrack, "read", lambda _path: "0\n")
    with pytest.raises(ProbeProblem, match="does not keep the value 1"):
        probe_measurement.write(str(tmp_path / "value"), 1)
    with pytest.raises(ProbeProblem, match="cannot be written .*: No such file or directory"):
        probe_measurement.write(str(tmp_path / "none/value"), 1)


def test_every_setting_has_cases_of_its_own():
    names = [case.name for setting in probe_measurement.SETTINGS for case in setting.cases]
    assert len(names) == len(set(names))
    assert probe_connections.LIMIT < probe_run.LIMIT / 3
