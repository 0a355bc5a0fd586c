#!/bin/sh
# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# tests/environment.sh NAME [PYTHON]: make, once, a virtual environment with what tests/requirements-NAME.txt lists, and print
# its path; core-SERIES (core-2.18) has that ansible-core and requirements.txt. It stays outside the checkout, under a name made of
# these requirements and the version of Python, so that the next checkout finds it ready and a change of other requirements leaves
# it alone. It counts only when the file "complete" is in it, and one builder works on it at a time: a build that is cut off leaves
# nothing that anyone would use, and of two at once the second waits and finds it ready.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
name=$1
python=${2:-python3}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/kubeproxy.ipvs
# Settings that would send Python or pip somewhere else than into the environment.
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV PIP_USER PIP_TARGET PIP_PREFIX PIP_REQUIRE_VIRTUALENV PIP_CONSTRAINT

say() {
    echo "kubeproxy.ipvs: $*" >&2
}

# A file of requirements and all that it includes.
requirements() {
    cat "$1"
    sed -n 's/^-r //p' "$1" | while read -r included; do
        requirements "$(dirname "$1")/$included"
    done
}

command -v "$python" >/dev/null 2>&1 || { say "$python is not installed"; exit 1; }
version=$("$python" -c 'import sys; print("%d.%d.%d" % sys.version_info[:3])')
case $version in
    2.*|3.[0-9].*) say "the controller needs Python 3.10 or newer, $python is $version"; exit 1 ;;
esac
case $name in
    core-*) list=$here/../requirements.txt ;;
    *) list=$here/requirements-$name.txt ;;
esac
[ -f "$list" ] || { say "there is no tests/requirements-$name.txt"; exit 1; }
key=$(requirements "$list" | cksum | cut -d ' ' -f 1)
environment=$cache/$name-$version-$key

ready() {
    [ -f "$environment/complete" ] && [ -x "$environment/bin/python" ]
}

install() {
    set -- -r "$list"
    case $name in core-*) set -- "$@" "ansible-core==${name#core-}.*" ;; esac
    "$python" -m venv "$environment" && "$environment/bin/python" -m pip --disable-pip-version-check install "$@"
}

build() {
    if ! "$python" -c 'import ensurepip, venv' 2>/dev/null; then
        if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null 2>&1; then
            say "$python cannot make virtual environments: install python3-venv (Debian, Ubuntu) or your system's equivalent"
            return 1
        fi
        say "installing python3-venv with apt-get"
        { apt-get -q update && DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends python3-venv; } >"$environment.log" 2>&1 || {
            cat "$environment.log" >&2
            return 1
        }
    fi
    say "installing the $name environment, Python $version (once)"
    rm -rf "$environment"
    if ! install >"$environment.log" 2>&1; then
        tail -n 5 "$environment.log" >&2
        say "the packages of the $name environment could not be installed; is a package index configured and reachable?"
        return 1
    fi
    touch "$environment/complete"
    rm -f "$environment.log"
}

if ! ready; then
    mkdir -p "$cache"
    exec 9>"$environment.lock"
    "$python" -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
    ready || build || exit 1
fi
echo "$environment"
