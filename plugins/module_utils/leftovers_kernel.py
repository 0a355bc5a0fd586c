# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What of the kernel is asked and told when leftovers are removed, beside iptables."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import ipset_netlink, link_netlink, nfnetlink
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.ipvs_netlink import IpvsServices


class NodeKernel(object):
    """What of the kernel is asked and told, beside iptables. Whatever is not loaded is not there, and stays so. To be closed."""

    def __init__(self, node):
        self._node = node
        self._ipvs, self._sets = IpvsServices(), None

    def close(self):
        """Close the sockets."""
        self._ipvs.close()
        if self._sets is not None:
            self._sets.close()

    def services(self):
        """All IPVS services."""
        return self._ipvs.services()

    def delete_service(self, service):
        """Delete one of them; whether it was there."""
        return self._ipvs.delete(service)

    def set_names(self):
        """The names of all IP sets."""
        if self._sets is None:
            if not nfnetlink.is_there(self._node, 'ip_set'):
                return []
            self._sets = ipset_netlink.IpSets()
        return self._sets.names()

    def destroy_set(self, name):
        """Destroy one of them; whether it was there. Raises ipset_netlink.Busy."""
        return self._sets.destroy(name)

    @staticmethod
    def find_link(name):
        """The interface of this name, or None."""
        return link_netlink.find_link(name)

    @staticmethod
    def delete_link(link):
        """Remove it; whether it was there."""
        return link_netlink.delete_link(link)
