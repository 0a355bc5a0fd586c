# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""observe.py sample: the value every 100 ms into SAMPLES, for ever.
observe.py restarts COUNT SETTLE_SECONDS: restart kube-proxy again and again, and print as JSON what the value was meanwhile:
{"ends": the value each time SETTLE_SECONDS after kube-proxy was healthy, "zero_seconds": how long it was 0 each time}.
observe.py since: the same from the boot until now, as one entry.
"""

import json
import subprocess
import sys
import time
import urllib.request

SAMPLES = "/run/lab-samples"
VALUE = "/proc/sys/net/ipv4/vs/conn_reuse_mode"
STEP = 0.1


def now():
    """Seconds since the boot."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def value():
    """The value, or "-" without ip_vs."""
    try:
        with open(VALUE, encoding="ascii") as handle:
            return handle.read().strip()
    except OSError:
        return "-"


def sample():
    """Write a line with the time and the value every STEP seconds."""
    following = now()
    with open(SAMPLES, "a", encoding="ascii", buffering=1) as handle:
        while True:
            handle.write("%.2f %s\n" % (now(), value()))
            following += STEP
            time.sleep(max(following - now(), 0))


def seconds_at_zero(began, ended):
    """How long the value was 0: each sample counts until the next one."""
    with open(SAMPLES, encoding="ascii") as handle:
        samples = [(float(at), text) for at, text in (line.split() for line in handle)]
    samples = [entry for entry in samples if began <= entry[0] <= ended] + [(ended, "-")]
    gaps = [after[0] - before[0] for before, after in zip(samples, samples[1:])]
    if not gaps or max(gaps) > 5 * STEP + 1:
        raise SystemExit("the sampler stood still: %s" % (max(gaps) if gaps else "no samples"))
    return round(sum(gap for gap, entry in zip(gaps, samples) if entry[1] == "0"), 2)


def wait_until_healthy():
    """Until kube-proxy has synchronised its rules."""
    for _attempt in range(600):
        try:
            with urllib.request.urlopen("http://127.0.0.1:10256/healthz", timeout=5):
                return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("kube-proxy does not become healthy")


def restarts(count, settle):
    """Restart kube-proxy COUNT times."""
    seen = {"ends": [], "zero_seconds": []}
    for _number in range(count):
        began = now()
        subprocess.run(["systemctl", "reset-failed", "kube-proxy"], check=True)
        subprocess.run(["systemctl", "restart", "kube-proxy"], check=True)
        wait_until_healthy()
        time.sleep(settle)
        seen["ends"].append(value())
        seen["zero_seconds"].append(seconds_at_zero(began, now()))
    return seen


if sys.argv[1] == "sample":
    sample()
elif sys.argv[1] == "restarts":
    print(json.dumps(restarts(int(sys.argv[2]), float(sys.argv[3]))))
else:
    wait_until_healthy()
    time.sleep(2.5)
    print(json.dumps({"ends": [value()], "zero_seconds": [seconds_at_zero(0, now())]}))
