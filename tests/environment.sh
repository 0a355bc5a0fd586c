#!/bin/sh
# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tests/environment.sh REQUIREMENTS [PYTHON]: make, once, a virtual environment with tests/requirements-REQUIREMENTS.txt
# and print its path. It is kept outside the checkout under a name made of its contents, and moved to that name only when
# it is complete, so that a build that was cut off, and two at once, do no harm.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
name=$1
python=${2:-python3}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubeproxy.ipvs

command -v "$python" >/dev/null 2>&1 || { echo "kubeproxy.ipvs: $python is not installed" >&2; exit 1; }
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || {
    echo "kubeproxy.ipvs: the controller needs Python 3.10 or newer, $python is $version" >&2
    exit 1
}
key=$(cat "$here/../requirements.txt" "$here"/requirements-*.txt | cksum | cut -d ' ' -f 1)
environment=$cache/$name-$version-$key
if [ -x "$environment/bin/python" ] && [ -f "$environment/complete" ]; then
    echo "$environment"
    exit 0
fi

if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "kubeproxy.ipvs: installing Debian's python3-venv" >&2
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3-venv; } >&2
    else
        echo "kubeproxy.ipvs: $python cannot make virtual environments; install python3-venv" >&2
        exit 1
    fi
fi

echo "kubeproxy.ipvs: setting up $name with Python $version in $environment" >&2
mkdir -p "$cache"
lock=$environment.building
# The scripts of an environment carry its path: it must be built where it stays. One builder at a time, the others wait.
exec 9>"$lock"
if command -v flock >/dev/null 2>&1; then flock 9; fi
if [ ! -f "$environment/complete" ]; then
    rm -rf "$environment"
    "$python" -m venv "$environment" >&2
    "$environment/bin/python" -m pip --quiet --disable-pip-version-check install -r "$here/requirements-$name.txt" >&2 || {
        echo "kubeproxy.ipvs: the packages of tests/requirements-$name.txt could not be installed; is a package index reachable?" >&2
        exit 1
    }
    touch "$environment/complete"
fi
echo "$environment"
