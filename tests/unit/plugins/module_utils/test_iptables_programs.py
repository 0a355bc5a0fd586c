# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The programs of iptables: which are asked, and how, and what they cannot do. They are small scripts that keep a table in a file."""

from __future__ import annotations

import fcntl
import socket
import sys
import threading
import time

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import iptables_programs, nf_tables_netlink, nfnetlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.clock import clock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_programs import IPV4, LEGACY, NFT, Iptables, IptablesError
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_programs import RuleSet, run_program, xtables_lock
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.iptables_rules import OwnedChains

OWNED = OwnedChains([{"table": "nat", "name": "KUBE-NODE-PORT", "jumps": [{"chain": "KUBE-SERVICES"}]}])
SAVED = "*nat\n:KUBE-NODE-PORT - [0:0]\n:KUBE-SERVICES - [0:0]\n-A KUBE-SERVICES -m comment --comment \"\xfc\xff\" -j KUBE-NODE-PORT\nCOMMIT\n"
# Prints the first of the files table.0, table.1, ... and takes it away, unless it is the last.
SAVE = """
import glob, os, sys
here = os.path.dirname(os.path.abspath(sys.argv[0]))
open(here + "/asked", "a").write(" ".join(sys.argv[1:]) + "\\n")
found = sorted(glob.glob(here + "/table.*"))
data = open(found[0], "rb").read()
if len(found) > 1:
    os.remove(found[0])
if data == b"fail":
    sys.exit("Resource temporarily unavailable")
os.write(1, data)
"""
# Notes what it was given, and fails as often as there are files called fail.*
RESTORE = """
import glob, os, sys
here = os.path.dirname(os.path.abspath(sys.argv[0]))
if "--help" in sys.argv:
    sys.stderr.write(open(here + "/help").read())
    sys.exit(1)
open(here + "/given", "ab").write((" ".join(sys.argv[1:]) + "\\n").encode() + sys.stdin.buffer.read())
for path in glob.glob(here + "/fail.*")[:1]:
    os.remove(path)
    sys.exit("iptables-restore: line 4 failed")
"""


@pytest.fixture(name="programs")
def programs_fixture(tmp_path, monkeypatch):
    """A folder of programs."""
    for name, text in (("save", SAVE), ("restore", RESTORE)):
        (tmp_path / name).write_text(f"#!{sys.executable} -IS\n{text}")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "table.0").write_bytes(SAVED.encode("latin-1"))
    (tmp_path / "help").write_text("[ --noflush ] [ --wait=<seconds>")
    monkeypatch.setattr(iptables_programs, "PAUSE_SECONDS", 0.01)
    return tmp_path


def rule_set(programs, variant=LEGACY):
    """The RuleSet of these programs."""
    return RuleSet(IPV4, variant, ["nat"], str(programs / "save"), str(programs / "restore"))


def soon(seconds=30):
    """A deadline."""
    return clock() + seconds


class TestRuleSet:
    def test_remove(self, programs):
        assert rule_set(programs).remove("nat", OWNED, soon()).chains == ["KUBE-NODE-PORT"]
        words, given = (programs / "given").read_bytes().split(b"\n", 1)
        assert words.startswith(b"--noflush --wait=")
        assert given == (
            b"*nat\n:KUBE-NODE-PORT - [0:0]\n-D KUBE-SERVICES -m comment --comment \"\xfc\xff\" -j KUBE-NODE-PORT\n-X KUBE-NODE-PORT\nCOMMIT\n"
        )
        assert (programs / "asked").read_text() == "-t nat\n"

    def test_nothing_to_remove(self, programs):
        (programs / "table.0").write_text("*nat\nCOMMIT\n")
        assert not rule_set(programs).remove("nat", OWNED, soon())
        assert not (programs / "given").exists()

    def test_a_rule_that_somebody_else_removed_meanwhile(self, programs):
        (programs / "fail.1").write_text("")
        assert rule_set(programs).remove("nat", OWNED, soon()).chains
        assert (programs / "asked").read_text() == "-t nat\n" * 2

    def test_it_fails_again_and_again(self, programs):
        for number in range(9):
            (programs / f"fail.{number}").write_text("")
        with pytest.raises(IptablesError, match="--noflush` of the table nat failed with status 1: iptables-restore: line 4 failed"):
            rule_set(programs).remove("nat", OWNED, soon())

    def test_a_table_that_cannot_be_read_at_first(self, programs):
        (programs / "table.0").write_text("fail")
        (programs / "table.1").write_bytes(SAVED.encode("latin-1"))
        assert rule_set(programs).removal("nat", OWNED, soon()).chains

    def test_a_table_that_cannot_be_read(self, programs):
        (programs / "table.0").write_text("fail")
        with pytest.raises(IptablesError, match="save -t nat` failed with status 1: Resource temporarily unavailable"):
            rule_set(programs).removal("nat", OWNED, soon())

    def test_without_wait_the_locks_are_taken(self, programs, monkeypatch):
        (programs / "help").write_text("[ --noflush ]")
        taken = []

        class Lock:
            def __enter__(self):
                taken.append(True)

            def __exit__(self, *_error):
                pass

        monkeypatch.setattr(iptables_programs, "xtables_lock", lambda _deadline: Lock())
        rule_set(programs).remove("nat", OWNED, soon())
        assert taken == [True]
        assert (programs / "given").read_bytes().startswith(b"--noflush\n")
        rule_set(programs, NFT).remove("nat", OWNED, soon())
        assert taken == [True]

    def test_has_chain(self, programs):
        assert rule_set(programs).has_chain("nat", [{"table": "nat", "prefix": "KUBE-S"}], soon())


class TestPrograms:
    def test_one_that_never_ends(self, programs):
        (programs / "save").write_text(f"#!{sys.executable} -IS\nimport time\ntime.sleep(60)\n")
        began = time.monotonic()
        with pytest.raises(IptablesError, match="save did not end in time"):
            rule_set(programs).removal("nat", OWNED, soon(0.2))
        assert time.monotonic() - began < 20

    def test_one_that_is_not_there(self):
        with pytest.raises(IptablesError, match="/none cannot be run: No such file or directory"):
            run_program(["/none"], soon())


class TestLock:
    def test_it_waits_for_both(self, tmp_path, monkeypatch):
        monkeypatch.setattr(iptables_programs, "PAUSE_SECONDS", 0.01)
        path, name = tmp_path / "lock", f"\0kubeproxy-{tmp_path}"
        with xtables_lock(soon(), str(path), name):
            with pytest.raises(IptablesError, match="another program holds the lock of iptables all the time"):
                with xtables_lock(soon(0.1), str(path), name):
                    pass
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        holder.bind(name)
        threading.Timer(0.1, holder.close).start()
        with xtables_lock(soon(), str(path), name), open(path, "rb") as handle:
            with pytest.raises(OSError, match="temporarily unavailable"):
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def test_a_lock_that_cannot_be_made(self, tmp_path):
        with pytest.raises(IptablesError, match="cannot be opened: No such file or directory"):
            with xtables_lock(soon(), str(tmp_path / "none/lock"), "\0none"):
                pass


class TestLook:
    @pytest.fixture
    def look(self, tree, tmp_path, monkeypatch):
        """look(files, programs, chains of nf_tables) -> Found. programs: names; the plain ones say that they are of the variant NFT if so told."""

        def do(files, programs, chains=(), plain=LEGACY):
            monkeypatch.setattr(nf_tables_netlink, "chains", lambda family: list(chains) if family == nfnetlink.IPV4 else [])
            for name in programs:
                version = "v1.8.7 (nf_tables)" if plain == NFT else "v1.4.21"
                (tmp_path / name).write_text(f"#!/bin/sh\necho '{name} {version}'\n")
                (tmp_path / name).chmod(0o755)
            found = Iptables(tree(files), lambda name: str(tmp_path / name) if name in programs else None).look(OWNED, ["filter"], soon())
            return [(one.family, one.variant, one.tables, one._save.rpartition("/")[2]) for one in found.rule_sets], found.problems, found.chains

        return do

    plain = ("iptables", "iptables-save", "iptables-restore")
    legacy = ("iptables-legacy-save", "iptables-legacy-restore")
    nft = ("iptables-nft-save", "iptables-nft-restore")
    tables = {"/proc/net/ip_tables_names": "nat\nraw\nfilter\n"}
    loaded = {"/sys/module/nf_tables/refcnt": "1"}
    chain = ("nat", "KUBE-NODE-PORT")

    def test_a_node_without_any(self, look):
        assert look({}, self.plain, [self.chain]) == ([], [], set())

    def test_an_old_node(self, look):
        assert look(self.tables, self.plain)[:2] == ([("ipv4", "legacy", ["filter", "nat"], "iptables-save")], [])

    def test_both_variants(self, look):
        sets, problems, chains = look({**self.tables, **self.loaded}, self.plain + self.legacy + self.nft, [self.chain, ("filter", "INPUT")], NFT)
        assert sets == [("ipv4", "legacy", ["filter", "nat"], "iptables-legacy-save"), ("ipv4", "nft", ["nat"], "iptables-nft-save")]
        assert problems == []
        assert chains == {self.chain, ("filter", "INPUT")}

    def test_the_plain_programs_are_those_of_their_own_variant(self, look):
        assert look(self.loaded, self.plain, [self.chain], NFT)[0] == [("ipv4", "nft", ["nat"], "iptables-save")]
        sets, problems, _chains = look(self.tables, self.plain, plain=NFT)
        assert sets == []
        assert problems == ["there are IPv4 tables of the legacy variant, filter, nat, but no iptables-save and -restore of that variant on this node"]

    def test_tables_of_nf_tables_without_a_chain_that_goes_are_left_alone(self, look):
        assert look(self.loaded, (), [("nat", "mine"), ("filter", "KUBE-NODE-PORT")])[:2] == ([], [])

    def test_chains_without_programs(self, look):
        assert look(self.loaded, (), [self.chain])[1] == [
            "there are IPv4 tables of the nft variant, nat, but no iptables-save and -restore of that variant on this node"
        ]

    def test_ipv6(self, look):
        sets = look({"/proc/net/ip6_tables_names": "nat\n"}, ("ip6tables", "ip6tables-save", "ip6tables-restore"))[0]
        assert sets == [("ipv6", "legacy", ["nat"], "ip6tables-save")]
