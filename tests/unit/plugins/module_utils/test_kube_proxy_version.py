# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What images, logs, snaps and binaries tell of kube-proxy's version and mode, and when they tell nothing."""

from __future__ import annotations

import json
import os

import pytest
from node_trees import API_UID, CONTAINER

from ansible_collections.kubeproxy.ipvs.plugins.module_utils.kube_proxy_version import LOG_BYTES, from_binary, from_image, from_logs, from_snap, image_of

PODS = "/var/log/pods/"
POD_LOG = f"{PODS}kube-system_kube-proxy-x7k2p_{API_UID}/kube-proxy/"
HOST_LOG = "/var/log/cce/kubernetes/kube-proxy.log"


def start(pid, version, mode="ipvs"):
    """What a start writes, from 1.23 on."""
    return (
        f'I0101 00:00:00.000000 {pid:7} server_others.go:269] "Using {mode} Proxier"\n'
        f'I0101 00:00:01.000000 {pid:7} server.go:661] "Version info" version="v{version}"\n'
    )


def docker(text):
    """The same as docker keeps it."""
    return "".join(json.dumps({"log": line + "\n", "stream": "stderr", "time": "2022-01-01T00:00:00Z"}) + "\n" for line in text.splitlines())


class TestLogs:
    @pytest.mark.parametrize(
        ("files", "options", "expected"),
        [
            ({POD_LOG + "0.log": start(1, "1.26.3")}, {"pod_uid": API_UID}, ("1.26.3", "ipvs")),
            ({POD_LOG + "9.log": start(1, "1.25.0"), POD_LOG + "10.log": start(1, "1.26.3")}, {"pod_uid": API_UID}, ("1.26.3", "ipvs")),
            ({POD_LOG + "0.log": docker(start(1, "1.23.4", "iptables"))}, {"pod_uid": API_UID}, ("1.23.4", "iptables")),
            (
                {POD_LOG + "0.log": '{"ts":1.5,"caller":"app/server.go:661","msg":"Version info","v":0,"version":"v1.30.1"}\n'},
                {"pod_uid": API_UID},
                ("1.30.1", None),
            ),
            ({POD_LOG + "0.log": "I0101 00:00:00.000000       1 server.go:650] Version: v1.20.6-tke.33\n"}, {"pod_uid": API_UID}, ("1.20.6-tke.33", None)),
            ({POD_LOG.replace("x7k2p", "other").replace(API_UID, "0" * 32) + "0.log": start(1, "1.26.3")}, {"pod_uid": API_UID}, (None, None)),
            (
                {f"{PODS}openshift-kube-proxy_openshift-kube-proxy-abcde_{API_UID}/kube-proxy/0.log": start(1, "1.26.3")},
                {"pod_uid": API_UID},
                ("1.26.3", "ipvs"),
            ),
            ({f"{PODS}kube-system_kube-proxy-worker-abcde_{API_UID}/kube-proxy-worker/0.log": start(1, "1.26.3")}, {}, ("1.26.3", "ipvs")),
            ({"/var/log/kube-proxy.log": start(7, "1.17.17")}, {"pod_uid": API_UID}, ("1.17.17", "ipvs")),
            ({f"/var/lib/docker/containers/{CONTAINER}/{CONTAINER}-json.log": docker(start(9, "1.24.4"))}, {"container_id": CONTAINER}, ("1.24.4", "ipvs")),
            ({HOST_LOG: start(900, "1.21.7-r0")}, {"pid": 900, "of_host": True}, ("1.21.7-r0", "ipvs")),
            ({HOST_LOG: start(900, "1.21.7-r0")}, {"of_host": True}, ("1.21.7-r0", "ipvs")),
            ({HOST_LOG: start(900, "1.21.7-r0")}, {"pod_uid": API_UID}, (None, None)),
            # After an upgrade the file still has the lines of the process before.
            ({HOST_LOG: start(900, "1.23.4") + start(800, "1.21.7")}, {"pid": 900, "of_host": True}, ("1.23.4", "ipvs")),
            ({HOST_LOG: start(800, "1.21.7")}, {"pid": 900, "of_host": True}, (None, None)),
            # It fell back: the last line counts.
            (
                {POD_LOG + "0.log": start(1, "1.21.7") + "E0101 x] Can't use ipvs proxier\n" + start(1, "1.21.7", "iptables")},
                {"pod_uid": API_UID},
                ("1.21.7", "iptables"),
            ),
            ({POD_LOG + "0.log": bytes(range(256)) * 10}, {"pod_uid": API_UID}, (None, None)),
            ({}, {}, (None, None)),
        ],
    )
    def test_read(self, tree, files, options, expected):
        assert from_logs(tree(files), **options) == expected

    def test_a_long_log_of_one_start(self, tree):
        noise = "I0101 00:00:02.000000       1 x.go:1] noise\n" * 20000
        assert from_logs(tree({POD_LOG + "0.log": start(1, "1.26.3") + noise}), pod_uid=API_UID) == ("1.26.3", "ipvs")

    def test_the_beginning_of_a_long_log_of_several_starts_tells_nothing(self, tree):
        noise = "I0101 00:00:02.000000       7 x.go:1] noise\n" * (3 * LOG_BYTES // 44)
        files = {"/var/log/kube-proxy.log": start(7, "1.17.0") + noise}
        assert from_logs(tree(files), pod_uid=API_UID) == (None, None)
        assert from_logs(tree({"/var/log/kube-proxy.log": noise + start(7, "1.18.0")}), pod_uid=API_UID) == ("1.18.0", "ipvs")

    def test_a_log_that_ended_before_the_process_began(self, tree):
        node = tree({HOST_LOG: start(900, "1.21.7")})
        os.utime(node.root + HOST_LOG, (1700000000, 1700000000))
        assert from_logs(node, of_host=True, pid=900, start_time=1700000100.0) == (None, None)
        assert from_logs(node, of_host=True, pid=900, start_time=1699999999.0) == ("1.21.7", "ipvs")


@pytest.mark.parametrize(
    "image", ["k/kube-proxy:v1.28", "k/kube-proxy:20240101", "k/kube-proxy:2.0.1", "10.0.0.1:5000/kube-proxy", "k/kube-proxy:v1.28.3x", "", ":", "@"]
)
def test_tags_that_are_no_release(image):
    assert from_image(image) is None


class TestImages:
    @pytest.mark.parametrize(
        ("path", "document"),
        [
            ("/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json", {"annotations": {"io.kubernetes.cri.image-name": "i:v1.2.3"}}),
            ("/run/k3s/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json", {"annotations": {"io.kubernetes.cri.image-name": "i:v1.2.3"}}),
            ("/run/containers/storage/overlay-containers/%s/userdata/config.json", {"annotations": {"io.kubernetes.cri-o.ImageName": "i:v1.2.3"}}),
            ("/var/lib/docker/containers/%s/config.v2.json", {"Config": {"Image": "i:v1.2.3"}}),
        ],
    )
    def test_of_each_runtime(self, tree, path, document):
        assert image_of(tree({path % CONTAINER: json.dumps(document)}), CONTAINER) == "i:v1.2.3"

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", "[" * 100000, '{"annotations": 1}', '{"annotations": {"io.kubernetes.cri.image-name": 7}}', b"\xff\x00"]
    )
    def test_senseless_files(self, tree, content):
        assert image_of(tree({"/run/containerd/io.containerd.runtime.v2.task/k8s.io/%s/config.json" % CONTAINER: content}), CONTAINER) is None

    def test_no_container(self, tree):
        assert image_of(tree({}), None) is None


def test_snap_that_runs_is_not_the_current_one(tree):
    files = {"/snap/microk8s/6000/meta/snap.yaml": "version: v1.28.3\n", "/snap/microk8s/current/meta/snap.yaml": "version: v1.29.0\n"}
    assert from_snap(tree(files), "/snap/microk8s/6000/kubelite") == "1.28.3"
    assert from_snap(tree(files), None) == "1.29.0"
    assert from_snap(tree({}), "/snap/microk8s/6000/kubelite") is None


class TestBinary:
    def test_a_binary_that_others_can_change_is_not_run(self, tmp_path):
        program = tmp_path / "kube-proxy"
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
        (tmp_path / "open").mkdir()
        (tmp_path / "open").chmod(0o777)
        ran = []

        def run(command):
            ran.append(command)
            return 0, "Kubernetes v1.28.3\n", ""

        for path in (tmp_path / "missing", tmp_path, tmp_path / "open"):
            assert from_binary(str(path), run) is None
        program.chmod(0o775)
        assert from_binary(str(program), run) is None
        # A directory above it that anybody can write: /tmp.
        program.chmod(0o755)
        assert from_binary(str(program), run) is None
        assert ran == []

    @pytest.mark.skipif(os.geteuid() != 0 or os.stat("/bin/sh").st_uid != 0, reason="needs root's own files")
    @pytest.mark.parametrize(
        ("answer", "version"),
        [((0, "Kubernetes v1.28.3-r0\n", ""), "1.28.3-r0"), ((1, "Kubernetes v1.28.3", ""), None), ((0, "", ""), None), ((0, None, ""), None)],
    )
    def test_answers(self, answer, version):
        assert from_binary(os.path.realpath("/bin/sh"), lambda command: answer) == version
