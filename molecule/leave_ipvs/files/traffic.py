# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""traffic.py run ADDRESS PORT: connect to a Service the whole time, each connection closed by the server, and write a line for each into LOG.
traffic.py mark NAME: write into MARKS that a part with this name begins now.
traffic.py parts: what each part was like, as JSON: {name: {seconds, connections, per_second, errors, slow, p50, p99, slowest, first_errors}}.

Two clients with 100 source ports each, which are used again and again: what the setting of conn_reuse_mode is about. Python 2.7 and 3.
"""

from __future__ import absolute_import, division, print_function

import json
import socket
import sys
import threading
import time

LOG, MARKS = "/run/lab-traffic", "/run/lab-traffic-marks"
CLIENTS, PORTS, FIRST_PORT = 2, 100, 20000
LIMIT = 5.0
# A connection that takes longer has lost its first packet, which is sent again after a second.
SLOW = 0.9
# As systemd starts it again after each reboot, the time must go on.
clock = time.time


def once(address, port, source_port):
    """(seconds until the connection stood, the backend's name or -, the error or -) of one connection."""
    connection = socket.socket()
    connection.settimeout(LIMIT)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    began = clock()
    seconds = None
    try:
        connection.bind(("", source_port))
        connection.connect((address, port))
        seconds = clock() - began
        connection.sendall(b"who")
        name = connection.recv(64)
        while connection.recv(64):
            pass
        return seconds, name.decode("ascii") or "-", "-" if name else "closed without an answer"
    except (socket.error, socket.timeout) as error:
        return clock() - began if seconds is None else seconds, "-", str(error).replace("\n", " ")
    finally:
        connection.close()


def client(address, port, first, log, lock):
    """Connect for ever."""
    number = 0
    while True:
        began = clock()
        seconds, name, error = once(address, port, first + number % PORTS)
        number += 1
        if "Cannot assign requested address" in error:
            # The last acknowledgement of the connection before is still under way.
            continue
        with lock:
            log.write("%.3f\t%.4f\t%s\t%s\n" % (began, seconds, name, error))
            log.flush()
        # More would be all that a processor of such a node does.
        time.sleep(max(0, 0.05 - (clock() - began)))


def run(address, port):
    """Start the clients and wait."""
    lock = threading.Lock()
    with open(LOG, "a") as log:
        for number in range(CLIENTS):
            thread = threading.Thread(target=client, args=(address, port, FIRST_PORT + number * PORTS, log, lock))
            thread.daemon = True
            thread.start()
        while True:
            time.sleep(3600)


def part(rows, seconds):
    """What the connections of one part were like."""
    times = sorted(row[1] for row in rows if row[3] == "-")
    errors = [row for row in rows if row[3] != "-"]
    return {
        "seconds": round(seconds, 1),
        "connections": len(rows),
        "per_second": round(len(rows) / seconds, 1),
        "errors": len(errors),
        "slow": sum(1 for value in times if value >= SLOW),
        "p50": times[len(times) // 2] if times else None,
        "p99": times[int(len(times) * 0.99)] if times else None,
        "slowest": times[-1] if times else None,
        "first_errors": sorted(set(row[3] for row in errors))[:5],
    }


def parts():
    """All parts, each until the next begins, the last until now."""
    with open(LOG) as handle:
        rows = [line.rstrip("\n").split("\t") for line in handle]
    rows = [(float(row[0]), float(row[1]), row[2], row[3]) for row in rows if len(row) == 4]
    with open(MARKS) as handle:
        marks = [line.split() for line in handle]
    marks = [(float(at), name) for at, name in marks] + [(clock(), None)]
    found = {}
    for (begin, name), (end, _next) in zip(marks, marks[1:]):
        found[name] = part([row for row in rows if begin <= row[0] < end], end - begin)
    return found


if sys.argv[1] == "run":
    run(sys.argv[2], int(sys.argv[3]))
elif sys.argv[1] == "mark":
    with open(MARKS, "a") as marks_file:
        marks_file.write("%.3f %s\n" % (clock(), sys.argv[2]))
else:
    print(json.dumps(parts(), sort_keys=True))
