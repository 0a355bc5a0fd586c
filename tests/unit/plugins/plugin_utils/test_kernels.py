# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every threshold of kernels.yml, as the last release that lacks a fix and the first that has it, and the unknown ranges."""

from __future__ import annotations

import re

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.capabilities import find_row, judge_kernel
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import read
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.knowledge_base import load
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.policy import read_policy

REUSE, WEIGHT, FLUSH = "reuse_without_drop", "respects_zero_weight", "flushes_deleted"


def state(capability, release, uname_version=None, signature=None, **kernel):
    """The state of a capability of a kernel with this `uname -r`, `uname -v` and /proc/version_signature."""
    facts = {"kernel": {"release": release, "version": uname_version, "version_signature": signature, **kernel}}
    return judge_kernel(read(facts), read_policy(None))[capability]["state"]


# capability, last without it, first with it
PAIRS = [
    # kernel.org
    (REUSE, "5.8.1", "5.8.2"),
    (REUSE, "5.7.15", "5.7.16"),
    (REUSE, "5.4.58", "5.4.59"),
    (REUSE, "4.19.139", "4.19.140"),
    (REUSE, "4.14.193", "4.14.194"),
    (REUSE, "5.6.19", "5.9.0"),
    (WEIGHT, "5.15.5", "5.15.6"),
    (WEIGHT, "5.10.82", "5.10.83"),
    (WEIGHT, "5.4.162", "5.4.163"),
    (WEIGHT, "4.19.218", "4.19.219"),
    (WEIGHT, "4.14.256", "4.14.257"),
    (WEIGHT, "5.14.21", "5.16.0"),
    (FLUSH, "5.8.18", "5.9.0"),
    # EulerOS 2.9
    (REUSE, "4.18.0-147.5.1.6.h685.eulerosv2r9.x86_64", "4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64"),
    (REUSE, "4.19.90-vhulk2103.1.0.h583.eulerosv2r9.aarch64", "4.19.90-vhulk2103.1.0.h584.eulerosv2r9.aarch64"),
    # the month decides before the build
    (REUSE, "4.19.90-vhulk2011.1.0.h900.eulerosv2r9.aarch64", "4.19.90-vhulk2105.1.0.h1.eulerosv2r9.aarch64"),
    # openEuler
    (REUSE, "4.19.90-2010.2.0.0045.oe1.x86_64", "4.19.90-2010.2.0.0046.oe1.x86_64"),
    (REUSE, "4.19.90-2003.4.0.0036.oe1.aarch64", "4.19.90-2112.8.0.0131.oe1.aarch64"),
    (WEIGHT, "5.10.0-39.0.0.21.oe2203.x86_64", "5.10.0-40.0.0.22.oe2203.x86_64"),
    # RHEL 8 family
    (REUSE, "4.18.0-305.25.1.el8_4.x86_64", "4.18.0-348.el8.x86_64"),
    (REUSE, "4.18.0-305.el8.x86_64", "4.18.0-348.2.1.el8_5.x86_64"),
    (REUSE, "4.18.0-193.28.1.el8_2.x86_64", "4.18.0-372.9.1.el8.x86_64"),
    (REUSE, "4.18.0-240.22.1.el8_3.aarch64", "4.18.0-553.el8_10.aarch64"),
    (REUSE, "4.18.0-80.11.2.el8_0.x86_64", "4.18.0-348.el8.0.2.x86_64"),
    (REUSE, "4.18.0-147.8.1.el8_1.x86_64", "4.18.0-477.10.1.el8_8.x86_64"),
    (WEIGHT, "4.18.0-348.23.1.el8_5.x86_64", "4.18.0-372.9.1.el8.x86_64"),
    (FLUSH, "4.18.0-513.5.1.el8_9.x86_64", "4.18.0-513.9.1.el8_9.x86_64"),
    (FLUSH, "4.18.0-521.el8.x86_64", "4.18.0-522.el8.x86_64"),
    # Ubuntu
    (REUSE, "4.15.0-118-generic", "4.15.0-119-generic"),
    (REUSE, "5.4.0-47-generic", "5.4.0-48-generic"),
    (REUSE, "5.4.0-47-lowlatency", "5.4.0-48-lowlatency"),
    (REUSE, "5.4.0-1024-aws", "5.4.0-1025-aws"),
    (WEIGHT, "5.4.0-99-generic", "5.4.0-100-generic"),
    (WEIGHT, "5.4.0-1065-aws", "5.4.0-1066-aws"),
    # Debian 10 by the number of the kernel package
    (REUSE, "4.19.0-10-amd64", "4.19.0-11-amd64"),
    # Amazon Linux: the sublevel is real
    (REUSE, "4.14.193-149.317.amzn2.x86_64", "4.14.198-152.320.amzn2.x86_64"),
    (REUSE, "5.4.58-32.125.amzn2.x86_64", "5.4.68-34.125.amzn2.x86_64"),
    (WEIGHT, "4.14.256-197.484.amzn2.x86_64", "4.14.262-200.489.amzn2.x86_64"),
    (REUSE, "4.14.193-113.317.amzn1.x86_64", "4.14.200-116.320.amzn1.x86_64"),
    # other lines with a real sublevel
    (REUSE, "5.4.58-1.el7.elrepo.x86_64", "5.4.59-1.el7.elrepo.x86_64"),
    (REUSE, "4.19.139-1.ph3", "4.19.140-1.ph3"),
    (REUSE, "4.19.124-flatcar", "4.19.145-flatcar"),
    (REUSE, "5.4.58-talos", "5.4.60-talos"),
    (REUSE, "4.19.121-linuxkit", "4.19.140-linuxkit"),
    (REUSE, "5.4.44-2-pve", "5.4.65-1-pve"),
    # no kernel of SUSE's
    (REUSE, "5.3.18-3-pve", "5.4.60-1-pve"),
    (REUSE, "5.4.49+", "5.4.89+"),
    # SUSE
    (REUSE, "4.12.14-lp151.28.59-default", "4.12.14-lp151.28.63-default"),
]


@pytest.mark.parametrize(("capability", "last_without", "first_with"), PAIRS)
def test_threshold(capability, last_without, first_with):
    assert state(capability, last_without) == "no"
    assert state(capability, first_with) == "yes"


@pytest.mark.parametrize(
    ("capability", "release"),
    [
        (REUSE, "4.15.0-1097-azure"),
        (REUSE, "4.12.14-197.56-default"),
        (REUSE, "5.3.18-38.25-azure"),
        (REUSE, "4.14.105-19-0017"),
        (REUSE, "4.14.105-19-0022"),
        (REUSE, "5.4.32-19-0001"),
        (REUSE, "5.4.119-19-0009.11"),
        (REUSE, "4.19.140-2008.2.0.0040.oe1.x86_64"),
        (REUSE, "5.14.0-70.13.1.el9_0.x86_64"),
        (WEIGHT, "5.14.0-70.13.1.el9_0.x86_64"),
        (FLUSH, "5.14.0-70.13.1.el9_0.x86_64"),
        (WEIGHT, "5.14.0-41.el9.x86_64"),
        (WEIGHT, "5.15.0-185-generic"),
        (WEIGHT, "5.10.134-16.1.al8.x86_64"),
        (REUSE, "5.10.0-60.18.0.50.r865_35.hce2.x86_64"),
        (REUSE, "5.15.0-100.96.32.el8uek.x86_64"),
        (REUSE, "2.6.32-754.35.1.el6.x86_64"),
        (REUSE, "5.9.0-rc1"),
        (REUSE, "6.18.44-anything"),
        (WEIGHT, "6.1.0-18-amd64"),
        # a base that contains the fix is enough, whoever took it
        (REUSE, "5.4.241-1-tlinux4-0017"),
        (REUSE, "5.4.119-1-tlinux4-0009.1"),
        (REUSE, "5.4.119-19.0009.28"),
        (REUSE, "5.4.119-20.0009.20"),
        (REUSE, "4.19.193-custom"),
    ],
)
def test_has_it(capability, release):
    assert state(capability, release) == "yes"


@pytest.mark.parametrize(
    ("capability", "release"),
    [
        (REUSE, "3.10.0-1160.el7.x86_64"),
        (REUSE, "3.10.0-1160.59.1.el7.x86_64"),
        (REUSE, "3.10.0-1160.119.1.el7.x86_64"),
        (REUSE, "3.10.0-395.el7.x86_64"),
        (REUSE, "3.10.0-862.14.1.5.h520.eulerosv2r7.x86_64"),
        (REUSE, "4.9.337"),
        (REUSE, "4.9.0-13-amd64"),
        (REUSE, "4.9.140-tegra"),
        (REUSE, "4.9.168-016.ali3000.alios7.x86_64"),
        (REUSE, "4.4.0-187-generic"),
        (REUSE, "4.4.0-210-generic"),
        (REUSE, "4.4.302"),
        (REUSE, "4.19.90-vhulk1912.2.1.0026"),
        (REUSE, "4.19.91-19.2.al7.x86_64"),
        (WEIGHT, "4.19.90-2412.3.0.0308.oe1.x86_64"),
        (WEIGHT, "5.4.119-19-0009.11"),
        (WEIGHT, "5.4.119-19.0009.11"),
        (WEIGHT, "4.14.105-19-0022"),
        (WEIGHT, "4.15.0-165-generic"),
        (FLUSH, "4.18.0-372.32.1.el8_6.x86_64"),
        (FLUSH, "4.18.0-477.27.2.el8_8.x86_64"),
        (REUSE, "4.18.0-305.el8.bclinux.x86_64"),
        (REUSE, "4.18.0-305.an8.x86_64"),
        (WEIGHT, "3.10.0-862.14.1.5.h520.eulerosv2r7.x86_64"),
        (WEIGHT, "4.19.90-vhulk1912.2.1.0026"),
        (WEIGHT, "4.19.140-2008.2.0.0040.oe1.x86_64"),
        (WEIGHT, "3.10.0-1160.el7.x86_64"),
        (WEIGHT, "4.4.0-187-generic"),
        (WEIGHT, "4.15.0-1128-azure"),
        (FLUSH, "3.10.0-1160.el7.x86_64"),
        (FLUSH, "4.4.0-187-generic"),
        (FLUSH, "5.4.0-216-generic"),
        (FLUSH, "5.4.0-1146-aws"),
    ],
)
def test_lacks_it(capability, release):
    assert state(capability, release) == "no"


@pytest.mark.parametrize(
    ("capability", "release"),
    [
        # extended z-streams and the builds of Stream 8
        (REUSE, "4.18.0-147.9.1.el8_1.x86_64"),
        (REUSE, "4.18.0-193.28.2.el8_2.x86_64"),
        (REUSE, "4.18.0-193.100.1.el8_2.x86_64"),
        (REUSE, "4.18.0-305.25.2.el8_4.x86_64"),
        (REUSE, "4.18.0-306.el8.x86_64"),
        (REUSE, "4.18.0-347.el8.x86_64"),
        (WEIGHT, "4.18.0-349.el8.x86_64"),
        (WEIGHT, "4.18.0-371.el8.x86_64"),
        (WEIGHT, "4.18.0-305.30.1.el8_4.x86_64"),
        (FLUSH, "4.18.0-372.40.1.el8_6.x86_64"),
        (FLUSH, "4.18.0-477.50.1.el8_8.x86_64"),
        # another builder's kernel with the same beginning
        (REUSE, "4.18.0-348.2.1.el8_5.vendor.x86_64"),
        (REUSE, "4.18.0-147.5.1.7.h999.eulerosv2r9.x86_64"),
        (REUSE, "4.18.0-147.5.2.5.h781.eulerosv2r10.x86_64"),
        (REUSE, "4.19.90-24.4.v2101.ky10.x86_64"),
        (REUSE, "4.19.90-52.22.v2207.ky10.aarch64"),
        (REUSE, "4.19.90-89.11.v2401.ky10.x86_64"),
        (REUSE, "4.14.35-2047.el7uek.x86_64"),
        (REUSE, "5.4.17-2136.300.7.el8uek.x86_64"),
        (REUSE, "4.14.105-19-0012"),
        (REUSE, "4.14.105-19-0013"),
        (REUSE, "4.14.105-19-0016"),
        (REUSE, "4.19.91-21.al7.x86_64"),
        (REUSE, "4.12.14-197.51-default"),
        (REUSE, "4.12.14-122.32-default"),
        (REUSE, "5.3.18-38.22-azure"),
        (REUSE, "5.3.18-59.27-default"),
        (REUSE, "5.3.18-24.86-default"),
        (REUSE, "5.3.18-lp152.106-default"),
        (REUSE, "5.3.18-150300.59.106-default"),
        (REUSE, "5.3.18-050318-generic"),
        # TencentOS under its other names: what is not known of the one is not known of the other
        (WEIGHT, "5.4.241-1-tlinux4-0017.10"),
        (WEIGHT, "5.4.241-19-0017"),
        (WEIGHT, "5.4.119-1-tlinux4-0008"),
        (WEIGHT, "5.4.241-24.0017.23"),
        (WEIGHT, "5.4.241-30.0017.oc8.x86_64"),
        (WEIGHT, "5.4.119-19.0009.28"),
        (REUSE, "3.10.107-1-tlinux2_kvm_guest-0049"),
        (REUSE, "4.4.0-19041-Microsoft"),
        (REUSE, "5.4.32-1-tlinux4-0001"),
        (REUSE, "4.14.105-1-tlinux3-0023.1"),
        (REUSE, "3.10.107-1-tlinux2-0048"),
        (REUSE, "4.15.0-1096-azure"),
        (REUSE, "4.15.0-1090-gcp"),
        (REUSE, "5.4.0-1060-azure"),
        (REUSE, "4.19.36-vhulk1907.1.0.h619.eulerosv2r8.aarch64"),
        (REUSE, "3.10.0-1160.41.1.vz7.183.5"),
        (REUSE, "3.10.107-1-tlinux2-0052"),
        (REUSE, "3.10.0-327.el7.x86_64"),
        (REUSE, "4.19.90-vhulk1912.2.1.0027"),
        (REUSE, "5.4.56.bsk.10-amd64"),
        (REUSE, "5.4.143.bsk.8-amd64"),
        (WEIGHT, "5.4.143.bsk.8-amd64"),
        # named as Debian's, and Debian's only if uname -v says so
        (REUSE, "4.19.0-19-loongson-3"),
        (REUSE, "4.19.0-11-6.acme"),
        (REUSE, "4.19.0-19-amd64-acme"),
        (WEIGHT, "4.15.0-200-generic"),
        (WEIGHT, "4.19.90-2501.1.0.0001.oe1.x86_64"),
        (WEIGHT, "5.4.119-19-0010"),
        (WEIGHT, "5.15.0-91-generic"),
        (WEIGHT, "5.10.0-60.18.0.50.r865_35.hce2.x86_64"),
        (WEIGHT, "4.18.0-147.5.1.6.h686.eulerosv2r9.x86_64"),
        # the builds after the last, or before the first, of which something is known
        (REUSE, "4.19.90-2003.4.0.0036.oe1.bclinux.x86_64"),
        (REUSE, "4.19.140-2008.2.0.0039.oe1.x86_64"),
        (REUSE, "2.6.32-754.35.2.el6.x86_64"),
        (REUSE, "4.19.91-21.an8.x86_64"),
        (WEIGHT, "4.19.90-vhulk1912.2.1.0027"),
        (WEIGHT, "5.14.0-40.el9.x86_64"),
        (WEIGHT, "4.15.0-1129-azure"),
        (WEIGHT, "4.14.105-19-0023"),
        (FLUSH, "5.4.0-217-generic"),
        (FLUSH, "5.4.0-1147-aws"),
        (REUSE, "nonsense"),
        (REUSE, ""),
        (REUSE, "9" * 5000),
        (REUSE, "99.1.0-generic"),
        (REUSE, "6"),
        (REUSE, "4.19.90-vhulk2006.2.0.h171.eulerosv2r10.aarch64"),
        (REUSE, "4.19.90-vhulk2001.1.0.0026.aarch64"),
        (REUSE, None),
    ],
)
def test_unknown_is_an_answer(capability, release):
    assert state(capability, release) == "unknown"


@pytest.mark.parametrize(
    ("capability", "release"),
    [
        (REUSE, "4.12.14-122.37-default"),
        (REUSE, "4.19.91-22.al7.x86_64"),
        (REUSE, "4.19.91-26.6.al7.x86_64"),
        (REUSE, "4.19.91-27.an8.x86_64"),
        (REUSE, "4.18.0-348.el8.bclinux.x86_64"),
        (REUSE, "4.18.0-372.19.1.an8_6.x86_64"),
        (REUSE, "4.19.90-2107.6.0.0100.oe1.bclinux.x86_64"),
        (REUSE, "4.19.90-2107.6.0.0192.8.oe1.bclinux.x86_64"),
        (REUSE, "4.19.90-2107.6.0.0251.43.oe1.bclinux.aarch64"),
    ],
)
def test_an_inferred_yes_needs_the_owners_consent(capability, release):
    facts = read({"kernel": {"release": release}})
    entry = judge_kernel(facts, read_policy(None))[capability]
    assert (entry["state"], entry["leaning"], entry["confidence"]) == ("unknown", "yes", "inferred")
    assert judge_kernel(facts, read_policy({"accept_inferred": True}))[capability]["state"] == "yes"


@pytest.mark.parametrize(
    ("release", "row"),
    [
        ("5.3.18-22-default", "suse_other"),
        ("5.3.18-lp152.106-default", "suse_other"),
        ("5.3.18-150300.59.106-preempt", "suse_other"),
        ("4.12.14-lp150.12.82-default", "suse_other"),
        ("4.12.14-95.54-default", "suse_other"),
        ("5.3.18-3-pve", "proxmox"),
        ("5.3.18-050318-generic", "any"),
    ],
)
def test_a_version_that_is_not_suses_alone(release, row):
    assert find_row(read({"kernel": {"release": release}}))["key"] == row


class TestRealVersionBehindTheName:
    def test_debian_10_by_uname_version(self):
        assert state(REUSE, "4.19.0-10-amd64", "#1 SMP Debian 4.19.132-1 (2020-07-24)") == "no"
        assert state(REUSE, "4.19.0-11-amd64", "#1 SMP Debian 4.19.146-1 (2020-09-17)") == "yes"
        assert state(WEIGHT, "4.19.0-18-amd64", "#1 SMP Debian 4.19.208-1 (2021-09-29)") == "no"
        assert state(WEIGHT, "4.19.0-19-amd64", "#1 SMP Debian 4.19.232-1 (2022-03-07)") == "yes"

    def test_debian_11_weight_zero(self):
        assert state(WEIGHT, "5.10.0-9-amd64", "#1 SMP Debian 5.10.70-1 (2021-09-30)") == "no"
        assert state(WEIGHT, "5.10.0-10-amd64", "#1 SMP Debian 5.10.84-1 (2021-12-08)") == "yes"

    def test_debian_backport(self):
        assert state(REUSE, "4.19.0-0.bpo.9-amd64", "#1 SMP Debian 4.19.118-2 (2020-04-29)") == "no"
        assert state(REUSE, "4.19.0-0.bpo.14-amd64", "#1 SMP Debian 4.19.171-2~deb9u1 (2021-02-08)") == "yes"

    @pytest.mark.parametrize(
        ("release", "uname_version", "row"),
        [
            ("5.10.0-30-amd64", "#1 SMP Debian 5.10.218-1 (2024-06-01)", "debian"),
            ("4.19.0-26-amd64", "#1 SMP Debian 4.19.304-1 (2024-01-09)", "debian_10"),
            ("4.19.0-9-amd64", "#1 SMP Debian 4.19.118-2+deb10u1 (2020-06-07)", "debian_10"),
            ("4.19.0-11-cloud-amd64", "#1 SMP Debian 4.19.146-1 (2020-09-17)", "debian_10"),
            ("4.19.0-12-rt-amd64", "#1 SMP PREEMPT RT Debian 4.19.152-1 (2020-10-18)", "debian_10"),
            ("4.19.0-17-686-pae", "#1 SMP Debian 4.19.194-3 (2021-07-18)", "debian_10"),
            ("4.19.0-0.bpo.4-amd64", "#1 SMP Debian 4.19.28-2~bpo9+1 (2019-03-27)", "debian"),
            ("6.1.0-0.deb11.21-amd64", "#1 SMP PREEMPT_DYNAMIC Debian 6.1.90-1~bpo11+1 (2024-05-15)", "debian"),
            ("5.10.0-28-amd64", "#1 SMP Debian 5.10.209-2 (2024-01-31)", "debian"),
            ("3.16.0-11-amd64", "#1 SMP Debian 3.16.84-1 (2020-06-09)", "debian"),
            ("3.16.0-4-amd64", "#1 SMP Debian 3.16.7-ckt25-2+deb8u3 (2016-07-02)", "debian"),
            ("5.10.0-21-loongson-3", "#1 SMP PREEMPT Debian 5.10.162-1 (2023-01-21)", "debian"),
            # built from Debian's packaging by others
            ("5.4.56.bsk.10-amd64", "#5.4.56.bsk.10 SMP Debian 5.4.56.bsk.10 Fri Sep 24 12:17:03 UTC 2021", "velinux"),
            ("5.4.143.bsk.8-amd64", "#5.4.143.bsk.8 SMP Debian 5.4.143.bsk.8 Wed Jul 20 08:43:36 UTC 2022", "velinux"),
            ("4.19.0-kali4-amd64", "#1 SMP Debian 4.19.28-2kali1 (2019-03-18)", "any"),
            ("4.19.0-11-amd64", "#1 SMP Debian 4.19.132-1acme1 (2020-07-24)", "any"),
            ("4.19.0-11-amd64", "#1 SMP Acme 4.19.67-11 (2020-03-21)", "any"),
            ("6.1.0-rpi7-rpi-v8", "#1 SMP PREEMPT Debian 1:6.1.63-1+rpt1 (2023-11-24)", "any"),
            ("4.19.0-19-loongson-3", "#1 SMP pkg_lnd10_4.19.190-7.6 Wed Nov 16 11:12:41 UTC 2022", "any"),
        ],
    )
    def test_debians_own_kernels_and_those_of_others(self, release, uname_version, row):
        assert find_row(read({"kernel": {"release": release, "version": uname_version}}))["key"] == row

    def test_what_others_build_from_debians_packaging_is_not_known(self):
        for capability in (REUSE, WEIGHT):
            assert state(capability, "5.4.143.bsk.8-amd64", "#5.4.143.bsk.8 SMP Debian 5.4.143.bsk.8 Wed Jul 20 08:43:36 UTC 2022") == "unknown"
        assert state(REUSE, "4.19.0-11-amd64", "#1 SMP Debian 4.19.132-1acme1 (2020-07-24)") == "unknown"
        assert state(REUSE, "4.19.0-19-loongson-3", "#1 SMP pkg_lnd10_4.19.190-7.6 Wed Nov 16 11:12:41 UTC 2022") == "unknown"

    @pytest.mark.parametrize("flavour", ["azure", "gcp", "oracle", "kvm", "generic", "aws"])
    def test_ubuntu_by_version_signature(self, flavour):
        assert state(REUSE, f"5.4.0-1020-{flavour}", signature=f"Ubuntu 5.4.0-1020.20-{flavour} 5.4.55") == "no"
        assert state(REUSE, f"5.4.0-1026-{flavour}", signature=f"Ubuntu 5.4.0-1026.26-{flavour} 5.4.60") == "yes"
        assert state(WEIGHT, f"5.4.0-1070-{flavour}", signature=f"Ubuntu 5.4.0-1070.73-{flavour} 5.4.166") == "yes"

    def test_ubuntu_18_04_signature_never_moves(self):
        assert state(REUSE, "4.15.0-119-generic", signature="Ubuntu 4.15.0-119.120-generic 4.15.18") == "yes"
        assert state(REUSE, "4.15.0-118-generic", signature="Ubuntu 4.15.0-118.119-generic 4.15.18") == "no"

    def test_another_ubuntu_has_at_least_what_its_base_has(self):
        assert state(REUSE, "5.8.0-63-generic", signature="Ubuntu 5.8.0-63.71-generic 5.8.18") == "yes"
        assert state(REUSE, "5.0.0-65-generic", signature="Ubuntu 5.0.0-65.71-generic 5.0.21") == "unknown"

    def test_ubuntu_22_04_weight_zero(self):
        assert state(WEIGHT, "5.15.0-25-generic", signature="Ubuntu 5.15.0-25.25-generic 5.15.30") == "yes"


class TestOtherEvidence:
    def test_build_before_the_fix_is_a_no(self):
        kernel = read({"kernel": {"release": "4.19.90-17.ky10.x86_64", "version": "#1 SMP Sun Jun 28 14:27:40 CST 2020"}})
        entry = judge_kernel(kernel, read_policy(None))[REUSE]
        assert (entry["state"], entry["evidence"], entry["built"]) == ("no", "build_date", "2020-06-28")

    @pytest.mark.parametrize(
        "uname_version",
        [
            "#1 SMP Wed Jul 1 00:00:00 UTC 2020",
            "#1-NixOS SMP Tue Jan 1 00:00:00 UTC 1980",
            "#1 SMP",
            "",
            "#1 SMP Thu Jan  1 00:00:00 UTC 1970",
            "#2 SMP Tue Feb 31 10:00:00 UTC 2019",
        ],
    )
    def test_a_later_or_senseless_day_says_nothing(self, uname_version):
        assert state(REUSE, "4.19.90-17.ky10.x86_64", uname_version) == "unknown"

    def test_tencent_had_the_fix_before_upstream(self):
        assert state(REUSE, "4.14.105-19-0014", "#1 SMP Fri Aug 14 15:20:54 CST 2020") == "yes"
        assert state(REUSE, "4.14.105-19-0013", "#1 SMP Tue Jun 23 10:00:00 CST 2020") == "yes"
        assert state(REUSE, "4.14.105-19-0013", "#1 SMP Mon Jun 22 10:00:00 CST 2020") == "no"
        assert state(REUSE, "4.14.105-19-0012", "#1 SMP Thu Jun 25 10:00:00 CST 2020") == "unknown"

    def test_tencent_under_its_inner_names(self):
        assert state(REUSE, "4.14.105-1-tlinux3-0020", "#1 SMP Tue Jun 23 12:00:00 CST 2020") == "unknown"
        assert state(REUSE, "4.14.105-1-tlinux3-0011", "#1 SMP Mon Jun 22 12:00:00 CST 2020") == "no"
        assert state(WEIGHT, "4.14.105-1-tlinux3-0020", "#1 SMP Tue Jun 23 12:00:00 CST 2020") == "no"
        assert state(FLUSH, "4.14.105-1-tlinux3-0020", "#1 SMP Tue Jun 23 12:00:00 CST 2020") == "no"

    def test_tencent_switch(self):
        def judged(value):
            facts = {"kernel": {"release": "4.14.105-19-0018"}, "sysctl": {"conn_reuse_old_conntrack": value}}
            return judge_kernel(read(facts), read_policy(None))[REUSE]

        assert (judged(1)["state"], judged(1)["evidence"]) == ("yes", "sysctl")
        assert judged(0)["state"] == "no"

    def test_symbol_of_the_flush_proves_both(self):
        facts = read({"kernel": {"release": "4.18.0-147.5.2.5.h781.eulerosv2r10.x86_64", "symbols": ["ip_vs_expire_nodest_conn_flush"]}})
        judged = judge_kernel(facts, read_policy(None))
        assert judged[REUSE]["evidence"] == judged[FLUSH]["evidence"] == "symbol"
        assert judged[REUSE]["state"] == judged[FLUSH]["state"] == "yes"

    def test_changelog_says_yes_and_never_no(self):
        found = {REUSE: "- ipvs: allow connection reuse for unconfirmed conntrack", WEIGHT: None}
        assert state(REUSE, "4.19.90-24.4.v2101.ky10.x86_64", changelog={"package": "kernel-4.19.90", "found": found}) == "yes"
        assert state(WEIGHT, "4.19.90-24.4.v2101.ky10.x86_64", changelog={"package": "kernel-4.19.90", "found": found}) == "unknown"

    def test_changelog_corrects_a_no_that_is_only_inferred(self):
        found = {"found": {REUSE: "- [net] ipvs: allow connection reuse for unconfirmed conntrack"}}
        assert state(REUSE, "3.10.0-1160.119.1.el7.x86_64", changelog=found) == "yes"
        assert state(REUSE, "3.10.0-1160.59.1.el7.x86_64", changelog=found) == "no"

    @pytest.mark.parametrize(
        "release",
        [
            "5.4.50-1.ph3",
            "4.19.124-flatcar",
            "5.4.50-talos",
            "4.19.121-linuxkit",
            "5.3.18-3-pve",
            "5.4.50-1.el7.elrepo.x86_64",
            "4.19.112+",
            "5.4.50",
            "4.14.171-105.231.amzn1.x86_64",
            "4.9.168-016.ali3000.alios7.x86_64",
        ],
    )
    def test_a_line_of_which_nobody_has_checked_that_its_version_is_all(self, release):
        """Without other evidence it lacks what its version lacks; a changelog that names the fix is better evidence."""
        alone = judge_kernel(read({"kernel": {"release": release}}), read_policy(None))[REUSE]
        assert (alone["state"], alone["evidence"], alone["confidence"]) == ("no", "version", "inferred")
        found = {"package": "linux", "found": {REUSE: "- ipvs: allow connection reuse for unconfirmed conntrack"}}
        named = judge_kernel(read({"kernel": {"release": release, "changelog": found}}), read_policy(None))[REUSE]
        assert (named["state"], named["evidence"], named["confidence"]) == ("yes", "changelog", "proven")

    def test_a_changelog_that_names_the_flush_names_what_it_was_built_on(self):
        found = {"found": {FLUSH: "- ipvs: queue delayed work to expire no destination connections if expire_nodest_conn=1"}}
        assert state(REUSE, "5.4.50-1.ph3", changelog=found) == "yes"
        # What was read in the source is not changed by that.
        assert state(REUSE, "4.18.0-193.el8.x86_64", changelog=found) == "no"

    @pytest.mark.parametrize(
        ("release", "uname_version", "confidence"),
        [
            ("4.14.193-149.317.amzn2.x86_64", None, "strong"),
            ("4.19.0-8-amd64", "#1 SMP Debian 4.19.98-1 (2020-01-26)", "proven"),
            ("4.9.201-tegra", None, "strong"),
            ("4.9.0-13-amd64", None, "strong"),
            ("4.9.0-19-amd64", "#1 SMP Debian 4.9.320-2 (2022-06-30)", "strong"),
            # of 5.5.y itself it is only inferred
            ("5.5.13-1.amzn2.x86_64", None, "inferred"),
        ],
    )
    def test_a_line_that_was_checked_is_believed_more_than_its_changelog(self, release, uname_version, confidence):
        kernel = {"release": release, "version": uname_version}
        answer = judge_kernel(read({"kernel": kernel}), read_policy(None))[REUSE]
        assert (answer["state"], answer["confidence"]) == ("no", confidence)
        found = {"found": {REUSE: "- ipvs: allow connection reuse for unconfirmed conntrack"}}
        assert state(REUSE, release, uname_version, changelog=found) == ("yes" if confidence == "inferred" else "no")

    def test_a_version_that_has_the_fix_is_as_sure_as_it_was(self):
        for release in ("5.4.59-1.ph3", "4.19.145-flatcar", "5.4.65-1-pve", "5.4.59", "4.14.200-116.320.amzn1.x86_64"):
            answer = judge_kernel(read({"kernel": {"release": release}}), read_policy(None))[REUSE]
            assert (answer["state"], answer["confidence"]) == ("yes", "proven")

    def test_probe_goes_before_tables(self):
        assert state(REUSE, "5.4.0-48-generic", probe={REUSE: "no"}) == "no"
        assert state(REUSE, "weird-kernel", probe={REUSE: {"state": "yes"}}) == "yes"

    def test_operator_goes_before_everything(self):
        facts = read({"kernel": {"release": "5.4.0-48-generic", "probe": {REUSE: "yes"}}})
        entry = judge_kernel(facts, read_policy({"capabilities": {REUSE: False}}))[REUSE]
        assert (entry["state"], entry["evidence"]) == ("no", "operator")

    def test_an_owners_row_goes_before_the_shipped_ones(self):
        row = {
            "key": "ucloud",
            "name": "UCloud",
            "match": {"release": r"^4\.19\.0-(\d+)\.ucloud"},
            "ranges": {REUSE: [{"from": "7", "state": True, "confidence": "reported", "source": "ticket 4711"}]},
        }
        policy = read_policy({"known_kernels": [row]})
        entry = judge_kernel(read({"kernel": {"release": "4.19.0-9.ucloud"}}), policy)[REUSE]
        assert (entry["state"], entry["evidence"], entry["source"], entry["row"]) == ("yes", "operator", "ticket 4711", "ucloud")
        assert judge_kernel(read({"kernel": {"release": "4.19.0-6.ucloud"}}), policy)[REUSE]["state"] == "unknown"


def test_every_row_with_thresholds_is_covered_by_a_release_of_this_file():
    """A row that no release here reaches is a row that nobody checked."""
    with open(__file__, encoding="utf-8") as handle:
        source = handle.read()
    releases = set(re.findall(r'"(\d+\.\d+[^"\s]*)"', source))
    reached = set()
    for release in releases:
        row = find_row(read({"kernel": {"release": release}}))
        if row:
            reached.add(row["key"])
    expected = {row["key"] for row in load("kernels")["rows"] if "release" in row["match"]}
    assert not expected - reached
