# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""kube-proxy and kube-apiserver, built from the source package `kubernetes` of Debian (the complete Kubernetes 1.20.2), and Debian's etcd.

Debian's Go builds the tree in the old way, outside of modules; its newer reflect2 takes the place of the vendored one, which
makes kube-apiserver panic when Go is 1.18 or newer.
"""

from __future__ import annotations

import pathlib
import re
import shutil

from kubeproxy_lab import packages, workshop
from kubeproxy_lab.storage import CACHE, LabError, artifact, key, locked, remove

SOURCE = "kubernetes"
VERSION = "1.20.2"
# Versions that Debian does not have, by the one change of theirs that matters here: (file, what stands there once, what stands there
# then). 1.20.15 leaves the value alone on kernels of 5.9 and newer (Kubernetes pull request 107437).
STANDS_IN = {
    "1.20.15": ("pkg/proxy/ipvs/proxier.go", r"if (kernelVersion\.LessThan\(version\.MustParseGeneric\()connReuseMinSupportedKernelVersion\)\) \{",
                r'if \1connReuseMinSupportedKernelVersion)) || !\1"5.9")) {'),
}
TREE = "src/k8s.io/kubernetes"
REFLECT2 = "usr/share/gocode/src/github.com/modern-go/reflect2"
SETTINGS = {"GOPATH": "/mnt", "GO111MODULE": "off", "CGO_ENABLED": "0", "GOFLAGS": "", "GOCACHE": "/mnt/cache"}
# The documentation of the API, which kube-apiserver does not start without, is generated from the packages with this mark.
OPENAPI = r"""
cd src/k8s.io/kubernetes
go build -o /mnt/openapi-gen ./vendor/k8s.io/kube-openapi/cmd/openapi-gen
directories=$(grep --recursive --files-with-matches --include='*.go' '+k8s:openapi-gen=' pkg staging/src/k8s.io | xargs -n 1 dirname | sort -u |
    grep -v -e code-generator -e sample-apiserver | sed -e 's|^staging/src/|k8s.io/kubernetes/vendor/|' -e 's|^pkg/|k8s.io/kubernetes/pkg/|' | paste -s -d ,)
/mnt/openapi-gen --go-header-file vendor/k8s.io/code-generator/hack/boilerplate.go.txt --output-file-base zz_generated.openapi \
    --output-package k8s.io/kubernetes/pkg/generated/openapi --output-base /mnt/src --report-filename /dev/null --input-dirs "$directories"
"""


def _tree() -> pathlib.Path:
    """The unpacked source as a GOPATH, with what has to be generated."""
    place = CACHE / "work" / f"kubernetes-{key(SOURCE, OPENAPI, SETTINGS)}"
    if place.exists():
        return place
    partial = place.with_name(place.name + ".partial")
    remove(partial)
    partial.mkdir(parents=True)
    packages.fetch_source(packages.SUITE, SOURCE, partial)
    tree = partial / TREE
    tree.parent.mkdir(parents=True)
    workshop.build(partial, ["sh", "-c", f"dpkg-source --no-check --extract *.dsc {TREE}"], "unpacking the source of kubernetes")
    vendored = tree / "vendor/github.com/modern-go/reflect2"
    remove(vendored)
    shutil.copytree(workshop.folder() / REFLECT2, vendored)
    workshop.build(partial, ["sh", "-e", "-c", OPENAPI], "generating the API's documentation", **SETTINGS)
    partial.rename(place)
    return place


def _edit(tree: pathlib.Path, version: str) -> None:
    """Bring the one file into the state of this version, starting from the one that Debian ships each time."""
    for path, pattern, replacement in STANDS_IN.values():
        original = (tree / path).with_name((tree / path).name + ".original")
        if not original.exists():
            shutil.copyfile(tree / path, original)
        text, count = re.subn(pattern, replacement, original.read_text(encoding="utf-8")) if version in STANDS_IN else (original.read_text(encoding="utf-8"), 1)
        if count != 1:
            raise LabError(f"the source of kubernetes is not what kubernetes.py expects: {pattern!r} stands {count} times in {path}")
        (tree / path).write_text(text, encoding="utf-8")


def _build(program: str, version: str, place: pathlib.Path) -> None:
    with locked(CACHE / "locks" / "kubernetes-tree"):
        tree = _tree()
        _edit(tree / TREE, version)
        major, minor = version.split(".")[:2]
        variables = {"gitVersion": f"v{version}", "gitMajor": major, "gitMinor": minor}
        flags = " ".join(f"-X k8s.io/kubernetes/vendor/k8s.io/component-base/version.{name}={value}" for name, value in variables.items())
        command = ["go", "build", "-ldflags", f"-s -w {flags}", "-o", "/mnt/built", f"./{TREE}/cmd/{program}"]
        workshop.build(tree, command, f"building {program} {version}", **SETTINGS)
        (tree / "built").rename(place / program)


def provide(program: str, version: str = VERSION) -> pathlib.Path:
    """The path of a program of Kubernetes, built if need be."""
    if version != VERSION and version not in STANDS_IN:
        raise LabError(f"{program} {version} cannot be built: Debian has the source of {VERSION}, and the lab makes {', '.join(STANDS_IN)} from it")
    recipe = (SOURCE, version, STANDS_IN.get(version), OPENAPI, SETTINGS)
    return artifact(program, recipe, lambda place: _build(program, version, place), f"building {program} {version}") / program


def etcd() -> pathlib.Path:
    """The path of etcd."""
    folder = artifact("etcd", (packages.SUITE, "etcd-server"), lambda place: packages.extract(packages.SUITE, ["etcd-server"], place), "fetching etcd")
    return folder / "usr/bin/etcd"
