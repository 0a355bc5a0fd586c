#!/usr/bin/env bash
# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# Inside the kernel: services as kube-proxy makes them, and some that it does not, then the module reads.
set -eu

for module in dummy nf_conntrack ip_vs ip_vs_rr; do
    modprobe "$module"
done
ip link add kube-ipvs0 type dummy
ip link add eth9 type dummy
ip link set eth9 up
ip addr add 192.168.7.5/24 dev eth9
ip addr add 10.96.0.1/32 dev kube-ipvs0
ip addr add 10.96.0.10/32 dev kube-ipvs0
ip -6 addr add fd00:96::1/128 dev kube-ipvs0
ipvsadm -A -t 10.96.0.1:443 -s rr
ipvsadm -a -t 10.96.0.1:443 -r 127.0.0.1:6443 -m -w 1
ipvsadm -A -t '[fd00:96::1]:80' -s rr
ipvsadm -a -t '[fd00:96::1]:80' -r '[::1]:8080' -m -w 1
ipvsadm -A -u 10.96.0.10:53 -s rr -p 10800
ipvsadm -A -t 192.168.7.5:31000 -s rr
ipvsadm -A -f 7 -s rr
ipvsadm -A -t 10.103.97.2:6443 -s rr
exec python3 "$(dirname "$0")/inside.py"
