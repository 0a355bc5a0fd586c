# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""one_target.py NAME SECONDS CORPUS FINDS: fuzz one parser. What it does not bear is written to FINDS, once for each fault, and fuzzing goes on."""

from __future__ import annotations

import hashlib
import json
import pathlib
import sys
import warnings

import atheris

with atheris.instrument_imports(include=["ansible_collections.kubeproxy"]):
    import targets
import mutations

MAXIMUM_BYTES = 100_000


def main() -> None:
    """Run until the time is over."""
    name, seconds, corpus, finds = sys.argv[1], int(sys.argv[2]), pathlib.Path(sys.argv[3]), pathlib.Path(sys.argv[4])
    import seeds

    warnings.simplefilter("ignore")
    targets.use_example_report()
    form = targets.TARGETS[name][1]
    corpus.mkdir(parents=True, exist_ok=True)
    finds.mkdir(parents=True, exist_ok=True)
    for seed in seeds.of(name):
        data = json.dumps(seed).encode() if form == "json" else seed if isinstance(seed, bytes) else seed.encode("utf-8", "surrogatepass")
        (corpus / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    seen: set[str] = set()

    def one(data: bytes) -> None:
        try:
            targets.attempt(name, data)
        except targets.Fault as fault:
            if fault.key not in seen:
                seen.add(fault.key)
                mark = hashlib.sha256(fault.key.encode()).hexdigest()[:8]
                (finds / f"{name}-{mark}").write_bytes(data)
                (finds / f"{name}-{mark}.txt").write_text(f"{fault.key}\n{fault}\n", encoding="utf-8", errors="backslashreplace")
                print(f"FIND {fault.key}", flush=True)

    options = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-max_len={MAXIMUM_BYTES}",
        "-timeout=120",
        f"-artifact_prefix={finds}/{name}-",
        "-rss_limit_mb=3000",
        "-print_final_stats=1",
        "-verbosity=1",
        str(corpus),
    ]
    if form == "json":
        atheris.Setup(options, one, custom_mutator=lambda data, maximum, seed: mutations.changed(data, maximum, seed, atheris.Mutate))
    else:
        atheris.Setup(options, one)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
