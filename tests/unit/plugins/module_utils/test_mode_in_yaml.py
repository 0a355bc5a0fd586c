# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Only the mode changes, in whatever style a configuration is written, and PyYAML sees nothing else change either."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.mode_in_yaml import BYTE_ORDER_MARK, KIND, ModeError, edited, mode_in

MODES = ("iptables", "nftables", "ipvs")
KUBEADM = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
detectLocal:
  bridgeInterface: ""
detectLocalMode: ""
ipvs:
  mode: of-something-else
  excludeCIDRs: null
kind: KubeProxyConfiguration
metricsBindAddress: ""
mode: "ipvs"   # our default
nodePortAddresses: null
winkernel:
  mode: x
"""


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('mode: "ipvs"   # our default', 'mode: "iptables"   # our default'),
        ("mode: 'ipvs'", "mode: 'iptables'"),
        ("mode: ipvs", "mode: iptables"),
        ("mode: ipvs   ", "mode: iptables   "),
        ("mode:   ipvs\t# tab", "mode:   iptables\t# tab"),
        ('"mode": ipvs', '"mode": iptables'),
        ("'mode' : ipvs", "'mode' : iptables"),
        ("mode: IPVS", "mode: iptables"),
        ('mode: ""', 'mode: "iptables"'),
        ("mode: ''", "mode: 'iptables'"),
        ("mode: null", "mode: iptables"),
        ("mode: ~ # none", "mode: iptables # none"),
        ("mode:", "mode: iptables"),
        ("mode: ", "mode: iptables "),
        ("mode:   # none", "mode: iptables   # none"),
        ("mode: ip-vs#1", "mode: iptables"),
    ],
)
@pytest.mark.parametrize(
    "around", ["kind: KubeProxyConfiguration\n%s\nipvs:\n  scheduler: rr\n", "a:\n- 1\n%s\nkind: KubeProxyConfiguration", "%s\nkind: KubeProxyConfiguration"]
)
def test_styles(around, before, after):
    text, changes = edited(around % before, "iptables")
    assert text == around % after
    assert [(old, new) for _line, old, new in changes] == [(before, after)]
    assert mode_in(text) == "iptables"
    assert edited(text, "iptables") == (text, [])


def test_kubeadm():
    text, changes = edited(KUBEADM, "nftables")
    assert changes == [(11, 'mode: "ipvs"   # our default', 'mode: "nftables"   # our default')]
    assert text == KUBEADM.replace('"ipvs"', '"nftables"')
    assert mode_in(KUBEADM) == "ipvs"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"kind":"KubeProxyConfiguration","mode":"ipvs"}', '{"kind":"KubeProxyConfiguration","mode":"iptables"}'),
        ('{"mode": null, "kind": "KubeProxyConfiguration"}\n', '{"mode": "iptables", "kind": "KubeProxyConfiguration"}\n'),
        ('{"kind":"KubeProxyConfiguration"}', '{"mode":"iptables","kind":"KubeProxyConfiguration"}'),
        ('{"kind": "KubeProxyConfiguration"}', '{"mode": "iptables", "kind": "KubeProxyConfiguration"}'),
        ("{kind: KubeProxyConfiguration, ipvs: {mode: x}}", "{mode: iptables, kind: KubeProxyConfiguration, ipvs: {mode: x}}"),
        ("{kind: KubeProxyConfiguration, mode: ipvs}", "{kind: KubeProxyConfiguration, mode: iptables}"),
        ("{kind: KubeProxyConfiguration, mode: , a: 1}", "{kind: KubeProxyConfiguration, mode: iptables , a: 1}"),
        ("{mode, kind: KubeProxyConfiguration}", "{mode: iptables, kind: KubeProxyConfiguration}"),
        ("--- {kind: KubeProxyConfiguration, mode: ''}\n", "--- {kind: KubeProxyConfiguration, mode: 'iptables'}\n"),
        (
            '{\r\n  "a": [1],\r\n  "kind": "KubeProxyConfiguration"\r\n}\r\n',
            '{\r\n  "mode": "iptables",\r\n  "a": [1],\r\n  "kind": "KubeProxyConfiguration"\r\n}\r\n',
        ),
        ('{\n\t"kind": "KubeProxyConfiguration",\n\t"mode": "ipvs"\n}', '{\n\t"kind": "KubeProxyConfiguration",\n\t"mode": "iptables"\n}'),
    ],
)
def test_flow_style(before, after):
    text, changes = edited(before, "iptables")
    assert text == after
    assert len(changes) == 1
    assert edited(text, "iptables") == (text, [])


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("kind: KubeProxyConfiguration\n", "kind: KubeProxyConfiguration\nmode: ipvs\n"),
        ("kind: KubeProxyConfiguration", "kind: KubeProxyConfiguration\nmode: ipvs"),
        ("a: 1\r\nkind: KubeProxyConfiguration", "a: 1\r\nkind: KubeProxyConfiguration\r\nmode: ipvs"),
        ("a: 1\r\nkind: KubeProxyConfiguration\r\nb: 2\r\n", "a: 1\r\nkind: KubeProxyConfiguration\r\nmode: ipvs\r\nb: 2\r\n"),
        ("  kind: KubeProxyConfiguration # x\n  b: 2\n", "  kind: KubeProxyConfiguration # x\n  mode: ipvs\n  b: 2\n"),
        (
            BYTE_ORDER_MARK + "kind: KubeProxyConfiguration\nx: |\n  mode: a\n  kind: KubeProxyConfiguration\n",
            BYTE_ORDER_MARK + "kind: KubeProxyConfiguration\nmode: ipvs\nx: |\n  mode: a\n  kind: KubeProxyConfiguration\n",
        ),
        (
            "%YAML 1.1\n---\nkind: KubeletConfiguration\nmode: x\n--- # second\nkind: KubeProxyConfiguration\n...\n---\nmode: y\n",
            "%YAML 1.1\n---\nkind: KubeletConfiguration\nmode: x\n--- # second\nkind: KubeProxyConfiguration\nmode: ipvs\n...\n---\nmode: y\n",
        ),
        ("%YAML 1.1\n---\nkind: KubeProxyConfiguration\nmode: a\n", "%YAML 1.1\n---\nkind: KubeProxyConfiguration\nmode: ipvs\n"),
    ],
)
def test_inserted(before, after):
    text, changes = edited(before, "ipvs")
    assert text == after
    assert len(changes) == 1
    assert mode_in(text) == "ipvs"


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ("kind: KubeProxyConfiguration\nmode: ipvs\na: 1\nmode: iptables\n", 4, "a second time, first in line 2"),
        ('{"kind": "KubeProxyConfiguration",\n"mode": "a",\n"mode": "b"}', 3, "a second time, first in line 2"),
        ('kind: KubeProxyConfiguration\nmode: ipvs\n"mode": ipvs\n', 3, "a second time"),
        ("kind: KubeProxyConfiguration\nmode: 5\n", 2, "no text"),
        ("kind: KubeProxyConfiguration\nmode: [ipvs]\n", 2, "no text"),
        ("kind: KubeProxyConfiguration\nmode:\n- ipvs\n", 2, "no text"),
        ("kind: KubeProxyConfiguration\nmode:\n  ipvs\n", 2, "one line"),
        ("kind: KubeProxyConfiguration\nmode: ip\n  vs\n", 2, "one line"),
        ("kind: KubeProxyConfiguration\nmode: |\n  ipvs\n", 2, "one line"),
        ('kind: KubeProxyConfiguration\nmode: "ip\n  vs"\n', 2, "next line"),
        ("kind: KubeProxyConfiguration\nmode: *x\n", 2, "not supported"),
        ("kind: KubeProxyConfiguration\nmode: !!str ipvs\n", 2, "not supported"),
        ('kind: KubeProxyConfiguration\n"\\x6dode": ipvs\n', 1, "not looked for"),
        ("kind:\n  KubeProxyConfiguration\n", 1, "without changing something else"),
        ("kind: KubeProxyConfiguration\nx: [a\n", 2, "missing"),
        ("kind: KubeProxyConfiguration\n\tmode: ipvs\n", 2, "tab"),
        ("a: 1\n---\nkind: KubeProxyConfiguration\n---\nkind: KubeProxyConfiguration\n", 4, "a second document"),
        ("kind: KubeProxyConfiguration\nx: a\rb\n", 2, "U+000D"),
        ("kind: KubeProxyConfiguration\nx: a\u2028b\n", 2, "U+2028"),
        ("kind: KubeProxyConfiguration\nmode: \0\n", 2, "U+0000"),
        ("", None, "no document"),
        ("# nothing\n", None, "no document"),
        ("mode: ipvs\n", None, "no document"),
        ("kind: KubeletConfiguration\nmode: ipvs\n", None, "no document"),
        ("- kind: KubeProxyConfiguration\n", None, "no document"),
        ("x: |\n  kind: KubeProxyConfiguration\n", None, "no document"),
    ],
)
def test_refused(text, line, what):
    with pytest.raises(ModeError) as refused:
        edited(text, "iptables")
    assert refused.value.line == line
    assert what in str(refused.value)
    assert line is None or str(refused.value).startswith(f"line {line}: ")


WORDS = st.text(st.sampled_from("abz01 -#:'\"\\\n[]{},é"), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["mode", "kind", "a", "strictARP"]), inner, max_size=3),
    max_leaves=6,
)
DOCUMENTS = st.dictionaries(st.sampled_from(["apiVersion", "bindAddress", "ipvs", "winkernel", "nodePortAddresses", "zz"]), VALUES, max_size=5)
GIVEN_MODES = st.sampled_from(["absent", None, "", "ipvs", "iptables", "kernelspace", "with a blank"])


def _written(document, style, data):
    if style.startswith("json"):
        return json.dumps(document, indent=2 if style == "json indented" else None)
    return yaml.safe_dump(
        document,
        default_flow_style=style == "flow",
        default_style=data.draw(st.sampled_from([None, '"', "'"])),
        sort_keys=data.draw(st.booleans()),
        allow_unicode=True,
    )


@settings(max_examples=300)
@given(DOCUMENTS, GIVEN_MODES, st.sampled_from(MODES), st.sampled_from(["block", "flow", "json", "json indented"]), st.booleans(), st.data())
def test_pyyaml_sees_the_mode_change_and_nothing_else(document, given_mode, mode, style, dos, data):
    document = {**document, "kind": KIND}
    if given_mode != "absent":
        document["mode"] = given_mode
    text = _written(document, style, data)
    text = text.replace("\n", "\r\n") if dos else text
    if yaml.safe_load(text) != document:
        # PyYAML reads some of the quoted line ends of JSON in its own way.
        return
    try:
        new, changes = edited(text, mode)
    except ModeError:
        # What the reader of the nodes does not understand is refused: that is never wrong, but must stay rare (below).
        assert style != "json" or "\\" in text
        return
    assert yaml.safe_load(new) == {**document, "mode": mode}
    assert len(changes) <= 1
    old_lines, new_lines = text.splitlines(keepends=True), new.splitlines(keepends=True)
    if len(old_lines) == len(new_lines):
        assert sum(one != other for one, other in zip(old_lines, new_lines)) == len(changes)
    assert edited(new, mode) == (new, [])
    if given_mode in MODES:
        assert edited(new, given_mode)[0] == text


@settings(max_examples=200)
@given(
    st.lists(
        st.sampled_from(
            ["kind: KubeProxyConfiguration", "mode: ipvs", "  mode: x", "---", "{", "}", '"mode": "a",', "a: |", "- b", "\t", "# c", "a: [", "]", "..."]
        ),
        max_size=8,
    )
)
def test_whatever_the_text_is_it_is_changed_rightly_or_refused(lines):
    text = "\n".join(lines)
    try:
        new, _changes = edited(text, "nftables")
    except ModeError as error:
        assert str(error)
        return
    assert mode_in(new) == "nftables"
