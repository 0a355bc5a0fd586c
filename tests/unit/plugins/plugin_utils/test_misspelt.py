# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which names are taken for a slip of the fingers."""

from __future__ import annotations

import pytest

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.misspelt import misspelt, variables


@pytest.mark.parametrize(
    ("name", "meant"),
    [("audit_fail_no", "audit_fail_on"), ("audit_reprot_dir", "audit_report_dir"), ("audit_target_kubeproxy", "audit_target_kube_proxy")],
)
def test_a_slip(name, meant):
    assert misspelt({name: 1, "ansible_user": "x"}) == {name: meant}


def test_variables_and_names_of_others():
    assert misspelt([*variables(), "audit_of_the_year", "audit_", "remediate_unfixd", 5]) == {}
