# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The subset against the real thing: whatever PyYAML writes of such documents, both read alike."""

from __future__ import annotations

import json
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.yaml_subset import YamlError, parse, parse_documents

KUBEADM = """\
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
clientConnection:
  acceptContentTypes: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
clusterCIDR: 10.244.0.0/16   # pods
conntrack:
  maxPerCore: null
featureGates: {}
ipvs:
  excludeCIDRs:
  - 10.103.97.2/32
  - fd00::/108
  minSyncPeriod: 0s
  strictARP: false
kind: KubeProxyConfiguration
metricsBindAddress: ""
mode: "ipvs"
nodePortAddresses: null
"""
STATIC_POD = """\
# made by RKE2
apiVersion: v1
kind: Pod
metadata: {name: kube-proxy, labels: {component: kube-proxy, "tier": control-plane}}
spec:
  containers:
  - args:
    - --proxy-mode=ipvs
    - "--metrics-bind-address=127.0.0.1:10249"
    - --conntrack-tcp-timeout-close-wait=1h0m0s
    command: [kube-proxy, '--v=2']
    env:
      - name: FILE
        value: |
          first
            second

          third
      - {name: X, value: "a\\tb # c"}
    image: index.docker.io/rancher/hardened-kubernetes:v1.28.5-rke2r1-build20231220
    livenessProbe:
      httpGet:
        host: localhost
        port: 10256
  hostNetwork: true
---
kind: Other
"""


@pytest.mark.parametrize(
    "text",
    [
        KUBEADM,
        STATIC_POD,
        json.dumps(yaml.safe_load(KUBEADM)),
        json.dumps(yaml.safe_load(KUBEADM), indent=2),
        "",
        "# nothing\n",
        "---\nmode: ipvs\n",
        "mode: ipvs\r\nx: 1\r\n",
        "- a\n- b: c\n  d: e\n-\n  - f\n- - g\n  - h\n",
        "a: >\n  b\n  c\n\n  d\ne: |-\n  f\n",
        "a: 'it''s'\nb: \"x: y\"\nc: http://a:1/b#c\n",
    ],
)
def test_as_pyyaml_reads_it(text):
    expected = [document for document in yaml.safe_load_all(text) if document is not None]
    assert parse_documents(text) == expected


@pytest.mark.parametrize("text", ["a: &x 1\nb: *x\n", "a: !!str 1\n", "a: [1, 2\n", 'a: "b\n', "a:\n\tb: 1\n", "? a\n: b\n", "a: {b: c\n", "a: 1\n  b: 2\n"])
def test_what_it_cannot_read_it_refuses_with_the_line(text):
    with pytest.raises(YamlError, match="line [0-9]+"):
        parse(text)


WORDS = st.text(st.characters(codec="ascii", categories=["L", "N", "P", "S", "Zs"]), max_size=30)
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**9), 10**9)
    | WORDS
    | st.sampled_from(
        ["ipvs", "0.0.0.0:10249", "[::1]:10249", "30s", "10.0.0.0/8", "", "yes", "null", "1e3", "0x1f", "01", "- a", "a: b", "#x", "x #y", "'", '"', "\\"]
    )
)
DOCUMENTS = st.dictionaries(
    st.from_regex(r"[a-zA-Z][a-zA-Z0-9_./-]{0,20}", fullmatch=True).filter(
        lambda key: key.lower() not in ("y", "n", "yes", "no", "on", "off", "true", "false", "null")
    ),
    st.recursive(
        SCALARS,
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.from_regex(r"[b-mo-xz][a-zA-Z]{3,10}", fullmatch=True).filter(lambda key: key.lower() not in ("true", "false", "null")), inner, max_size=4
            )
        ),
        max_leaves=15,
    ),
    max_size=8,
)


@settings(max_examples=300)
@given(DOCUMENTS, st.sampled_from([None, False, True]), st.sampled_from([40, 80, 4000]), st.booleans())
def test_property_reads_what_pyyaml_writes(document, flow, width, indentless):
    text = yaml.safe_dump(document, default_flow_style=flow, width=width, allow_unicode=indentless)
    assert parse(text) == yaml.safe_load(text)


@settings(max_examples=200)
@given(DOCUMENTS)
def test_property_reads_json(document):
    assert parse(json.dumps(document)) == document
    assert parse(json.dumps(document, indent=2)) == document


@settings(max_examples=500)
@given(st.text(max_size=200) | st.text("ab:-[]{}\"'#|>&*? \n\t", max_size=60))
def test_property_any_text_is_read_or_refused(text):
    try:
        parse_documents(text)
    except YamlError as error:
        assert str(error).startswith("line ")


@pytest.mark.parametrize(
    "text",
    [
        "a: don't 'quote # a comment\nb: 1\n",
        'a: 5" disk # a comment\n',
        "- it's # a comment\n- 'it # no comment'\n",
        "a: [x, 'y # z'] # a comment\n",
        "a: 'b' # c'd\n",
        "# it's\na: b#c\n",
        "kube-proxy-arg:\n- 'proxy-mode=ipvs' # not iptables, it's slow\n- v=2\n",
    ],
)
def test_quotes_and_comments_as_pyyaml_reads_them(text):
    assert parse(text) == yaml.safe_load(text)


@pytest.mark.parametrize(
    "text",
    [
        "a: [\n" + "  x,\n" * 20000,
        'a: "\n' + "  x\n" * 50000,
        "a: " + "[" * 100000,
        "{\n" + '  "a": 1,\n' * 20000 + '  "b": 2}\n',
        "a" + " " * 200000 + "b",
        "a: b\n" + "  c\n" * 50000,
    ],
    ids=["open list", "open quote", "nested", "long JSON", "blanks", "long scalar"],
)
def test_the_time_grows_with_the_length_alone(text):
    began = time.process_time()
    try:
        parse(text)
    except YamlError:
        pass
    assert time.process_time() - began < 5
