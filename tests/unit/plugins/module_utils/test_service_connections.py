# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which services are tried, and what counts as an answer."""

from __future__ import annotations

import errno
import os
import socket
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.listening_sockets import listening
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.node_files import NodeFiles
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.service_connections import TIMED_OUT, ServiceTrial, answerable, spread, try_services

TABLE = """\
IP Virtual Server version 1.2.1 (size=4096)
Prot LocalAddress:Port Scheduler Flags
  -> RemoteAddress:Port Forward Weight ActiveConn InActConn
TCP  0A600001:01BB rr
  -> 0A630001:19 odd
  -> 0A630001:192B      Masq    1      0          0
  -> 0A630002:192B      Masq    1      0          0
UDP  0A60000A:0035 rr
  -> 0AF40102:0035      Masq    1      0          0
TCP  0A60000A:0035 rr persistent 10800
  -> 0AF40102:0035      Masq    0      0          0
  -> 0AF40202:0035      Masq    3      0          0
TCP  0A600032:0050 rr
  -> 0AF40102:1F90      Masq    0      0          0
TCP  0A600033:0050 rr
FWM  00000001 rr
  -> 0AF40102:1F90      Masq    1      0          0
TCP  [fd00:0000:0000:0000:0000:0000:0000:0001]:0050 rr
  -> [fd00:0000:0000:0000:0000:0000:0001:0001]:1F90      Masq    1      0          0
TCP  [fe80:0000:0000:0000:0000:0000:0000:0001]:0050 rr
  -> [fd00:0000:0000:0000:0000:0000:0001:0001]:1F90      Masq    1      0          0
TCP  nonsense rr
  -> 0AF40102:1F90      Masq    1      0          0
SCTP 0A600034:0050 rr
  -> 0AF40102:1F90      Masq    1      0          0
"""


def test_services_with_a_backend(tree):
    assert answerable(tree({"/proc/net/ip_vs": TABLE})) == [("10.96.0.1", 443), ("10.96.0.10", 53), ("fd00::1", 80)]
    assert answerable(tree({"/proc/net/dev": ""})) == []


@given(strategies.integers(0, 60), strategies.integers(0, 60))
def test_spread(length, count):
    items = list(range(length))
    found = spread(items, count)
    assert len(found) == min(length, count)
    assert found == sorted(set(found))
    if 0 < count <= length:
        # From all over: no part of that length is left out.
        gaps = [after - before for before, after in zip([-1, *found], [*found, length])]
        assert max(gaps) <= -(-length // count) + 1


def test_what_is_an_answer(tmp_path):
    listening_one = socket.create_server(("127.0.0.1", 0))
    closed = socket.create_server(("127.0.0.1", 0))
    # Room for no more than one connection that nobody accepts: others go unanswered.
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = []
    for dummy in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    endpoints = [server.getsockname() for server in (listening_one, closed, full)]
    closed.close()
    began = time.monotonic()
    outcome = try_services(endpoints, 0.5)
    assert outcome == {endpoints[0]: None, endpoints[1]: os.strerror(errno.ECONNREFUSED), endpoints[2]: TIMED_OUT}
    # All of them together.
    assert time.monotonic() - began >= 0.5
    # Closed in the ordinary way: whoever accepts it reads its end, not an error.
    accepted = listening_one.accept()[0]
    accepted.settimeout(10)
    assert accepted.recv(1) == b""
    for opened in (accepted, listening_one, full, *fillers):
        opened.close()


def test_none_and_odd_ones():
    assert try_services([], 1) == {}
    outcome = try_services([("255.255.255.255", 80), ("127.0.0.1", 70000), ("ff02::1", 80)], 0.2)
    assert len(outcome) == 3
    assert all(outcome.values())


def test_version_6():
    try:
        server = socket.create_server(("::1", 0), family=socket.AF_INET6)
    except OSError:
        pytest.skip("this machine has no IPv6")
    with server:
        endpoint = server.getsockname()[:2]
        assert try_services([endpoint], 5) == {endpoint: None}


def test_a_long_list_of_lost_ones(tree):
    servers = [socket.create_server(("127.0.0.1", 0)) for dummy in range(30)]
    trial = ServiceTrial(tree({}), [server.getsockname() for server in servers], 5)
    assert trial.result() == {"tried": 30, "answered_before": 30, "answered_after": None, "lost": []}
    assert trial.problem() is None
    for server in servers[1:]:
        server.close()
    trial.try_again(in_table=False)
    result = trial.result()
    assert (result["answered_after"], len(result["lost"])) == (1, 20)
    assert trial.problem().startswith("29 of 30 Services that answered before the restart do not answer after it: 127.0.0.1:")
    assert trial.problem().endswith("and 24 more")
    servers[0].close()


def test_whose_listener_it_is():
    node = NodeFiles()
    with socket.create_server(("127.0.0.1", 0)) as own, socket.create_server(("0.0.0.0", 0)) as everywhere:
        ports = (own.getsockname()[1], everywhere.getsockname()[1])
        assert listening(node, os.getpid(), ports) == ({ports[0]: ["127.0.0.1"], ports[1]: ["0.0.0.0"]}, True)
        # Its parent has other sockets.
        if os.geteuid() == 0:
            assert listening(node, os.getppid(), ports) == ({ports[0]: [], ports[1]: []}, True)
    assert listening(node, os.getpid(), ports) == ({ports[0]: [], ports[1]: []}, True)
    # A process that is not there.
    assert listening(node, 2**22 + 1, ports)[0] == {ports[0]: [], ports[1]: []}


def test_listeners_of_a_table(tree):
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
    line = "   0: %s 00000000:0000 %s 00000000:00000000 00:00000000 00000000     0        0 %d 1\n"
    little = sys.byteorder == "little"
    word, version6 = "0100007F" if little else "7F000001", "0" * 24 + ("01000000" if little else "00000001")
    node = tree(
        {
            "/proc/7/net/tcp": head + "odd\n" + line % (word + ":2810", "0A", 5) + line % (word + ":2809", "01", 6) + line % (word + ":2809", "0A", 7),
            "/proc/7/net/tcp6": head + line % (version6 + ":2810", "0A", 8) + line % ("xyz:2810", "0A", 9),
            "/proc/7/fd/3": ("link", "socket:[5]"),
            "/proc/7/fd/4": ("link", "socket:[8]"),
            "/proc/7/fd/5": ("link", "/dev/null"),
        }
    )
    # What stands behind the first connection is not read.
    assert listening(node, 7, (10256, 10249)) == ({10256: ["127.0.0.1", "::1"], 10249: []}, True)
