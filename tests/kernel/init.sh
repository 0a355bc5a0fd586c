#!/usr/bin/env bash
# Copyright: the kubeproxy.ipvs authors
# SPDX-License-Identifier: GPL-3.0-or-later
#
# The first process inside the kernel: services as kube-proxy makes them, and some that it does not, then the module reads.
export PATH=$KUBEPROXY_TOOLS/sbin:$KUBEPROXY_TOOLS/bin:/usr/sbin:/usr/bin:/sbin:/bin
export LD_LIBRARY_PATH=$KUBEPROXY_TOOLS/lib/x86_64-linux-gnu:$KUBEPROXY_TOOLS/usr/lib/x86_64-linux-gnu
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t tmpfs tmpfs /run
# The tools are links to /bin/kmod, which this machine need not have.
ln -s "$KUBEPROXY_TOOLS/bin/kmod" /run/modprobe
for module in dummy nf_conntrack ip_vs ip_vs_rr; do
    /run/modprobe -d "$KUBEPROXY_TOOLS" "$module"
done
ip link set lo up
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
unset LD_LIBRARY_PATH
PYTHONPATH=$KUBEPROXY_CHECKOUT/.cache/collections PYTHONDONTWRITEBYTECODE=1 "$KUBEPROXY_PYTHON" "$KUBEPROXY_CHECKOUT/tests/kernel/inside.py"
echo o >/proc/sysrq-trigger
sleep 5
