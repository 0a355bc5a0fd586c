#!/bin/sh
# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# A custom plugin of the node-problem-detector: whether this node still has what the collection kubeproxy.ipvs gave it.
#
#   conn_reuse_mode.sh value [0|1]   net.ipv4.vs.conn_reuse_mode is what the role wrote down; without a record, the value that is given here
#   conn_reuse_mode.sh hold          what is to hold it is still there: the service and the drop-in
#
# Status 0: so it is. 1: it is not. 2: that cannot be told. The one line of output has 80 characters at most. Only reads. Needs sh, sed and sleep.
#
# KUBEPROXY_IPVS_ROOT: where the node's own files are, in a pod; nothing else is read there than
# var/lib/kubeproxy.ipvs, etc/kubeproxy.ipvs, etc/systemd/system and sys/fs/cgroup.
set -u

root=${KUBEPROXY_IPVS_ROOT:-}
proc=${KUBEPROXY_IPVS_PROC:-/proc}
pause_seconds=3
directory=$root/var/lib/kubeproxy.ipvs
record=$directory/conn_reuse_mode.json
service=kubeproxy-ipvs-hold.service

# say STATUS TEXT
say() {
    echo "$2"
    exit "$1"
}

# What the role wrote down of its own, one line for each thing. Before the files' contents, which may be long.
read_record() {
    facts=
    if [ -n "$root" ] && [ ! -d "$directory" ]; then
        say 2 "/var/lib/kubeproxy.ipvs of the node is not mounted in this pod"
    fi
    if [ -d "$directory" ] && [ ! -x "$directory" ]; then
        say 2 "/var/lib/kubeproxy.ipvs cannot be read: this needs root"
    fi
    [ -e "$record" ] || return 0
    facts=$(sed -n -e '/^ "files": /q' -e '/^ "facts": {/,/^ }/p' "$record" 2>/dev/null) || facts=
    [ -n "$facts" ] || say 2 "the record of conn_reuse_mode cannot be read, or is damaged"
}

# of_record KEY: its value, a number or true or false.
of_record() {
    printf '%s\n' "$facts" | sed -n "s/^  \"$1\": \\([a-z0-9]*\\),\\{0,1\\} *\$/\\1/p"
}

# The path of kube-proxy's drop-in.
drop_in() {
    printf '%s\n' "$facts" | sed -n -e '/^  "drop_in": {/,/^  }/s/^   "path": "\(\/etc\/systemd\/system\/[^"\\]*\)",\{0,1\} *$/\1/p'
}

# The value now, nothing where there is none. The status of read says nothing: some shells find no end of line in files of /proc.
current_value() {
    current=
    { read -r current _ <"$proc/sys/net/ipv4/vs/conn_reuse_mode"; } 2>/dev/null
    case $current in
    '' | *[!0-9-]* | ????*) current= ;;
    esac
}

check_value() {
    read_record
    expected=$(of_record value)
    [ -n "$facts" ] || expected=${1:-}
    case $expected in
    0 | 1) ;;
    *) say 2 "nothing on this node says which value is right: audit it" ;;
    esac
    # In a network namespace of its own a pod would see a value that nobody uses.
    grep_line kube_ipvs0: "$proc/net/dev" || say 2 "no kube_ipvs0: kube-proxy is not in IPVS mode, or this pod lacks hostNetwork"
    current_value
    if [ "$current" != "$expected" ]; then
        # kube-proxy writes its own value when it starts; what holds ours needs up to 1.5 seconds.
        sleep "$pause_seconds"
        current_value
    fi
    [ -n "$current" ] || say 2 "there is no conn_reuse_mode now: ip_vs is not loaded"
    [ "$current" = "$expected" ] || say 1 "conn_reuse_mode is $current, $expected is right on this node"
    say 0 "conn_reuse_mode is $current, as it should be"
}

# grep_line WORD FILE: whether a line begins with the word.
grep_line() {
    [ -n "$(sed -n "/^ *$1/p" "$2" 2>/dev/null)" ]
}

# Whether the service has a process. Control groups of version 2, of version 1, and of both together.
service_runs() {
    seen=
    for group in system.slice systemd/system.slice unified/system.slice; do
        [ -d "$root/sys/fs/cgroup/$group" ] || continue
        seen=yes
        process=
        { read -r process <"$root/sys/fs/cgroup/$group/$service/cgroup.procs"; } 2>/dev/null
        [ -z "$process" ] || return 0
    done
    [ -n "$seen" ] || say 2 "/sys/fs/cgroup of the node cannot be seen"
    return 1
}

check_hold() {
    read_record
    [ -n "$facts" ] || say 0 "the collection does not hold this node"
    if [ "$(of_record service)" = true ]; then
        # It is started anew one second after it ended.
        service_runs || { sleep "$pause_seconds" && service_runs; } || say 1 "the service kubeproxy-ipvs-hold does not run"
        if [ -d "$root/etc/kubeproxy.ipvs" ] || [ -z "$root" ]; then
            [ -s "$root/etc/kubeproxy.ipvs/hold" ] || say 1 "/etc/kubeproxy.ipvs/hold is gone"
        fi
    fi
    path=$(drop_in)
    if [ -n "$path" ]; then
        [ -d "$root/etc/systemd/system" ] || say 2 "/etc/systemd/system of the node cannot be seen"
        [ -s "$root$path" ] || say 1 "the drop-in of kube-proxy's unit is gone"
    fi
    [ "$(of_record daemonset)" != true ] || say 0 "a DaemonSet holds conn_reuse_mode, which leaves nothing on the node to look for"
    say 0 "what holds conn_reuse_mode is in place"
}

case ${1:-} in
value) check_value "${2:-}" ;;
hold) check_hold ;;
*)
    echo "usage: conn_reuse_mode.sh value [0|1], conn_reuse_mode.sh hold" >&2
    say 2 "wrong arguments in the configuration of the monitor"
    ;;
esac
