# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Ask the running kernel what its IPVS does when a source port is used again. Python 2.7 or 3.6 and newer, nothing else.

It measures in network namespaces of its own, which end with it, and neither uses nor changes the network, the IPVS services and the values of this
machine. It needs root and takes up to 15 seconds. It prints a sentence and what was measured as JSON.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import argparse
import json
import os
import subprocess
import sys

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import probe_run
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.nfnetlink import is_there

EXIT = """exit status:
  0  everything is known
  1  not everything could be measured
  2  nothing was measured; why is said on standard error
"""
CONCLUSIVE, INCONCLUSIVE, REFUSED = 0, 1, 2
# With 1, and with 0.
REUSED = {
    'yes': 'net.ipv4.vs.conn_reuse_mode=1 is safe here: no first packet of a connection from a used port is dropped',
    'no': 'net.ipv4.vs.conn_reuse_mode=1 costs a second here whenever a port is used again: the first packet is dropped',
    'unknown': 'whether net.ipv4.vs.conn_reuse_mode=1 is safe here is not known',
}
WEIGHT_0 = {
    'yes': 'with 0, a connection from a used port leaves a server whose weight is 0',
    'no': 'with 0, a connection from a used port stays with a server whose weight is 0',
    'unknown': 'what 0 does is not known',
}


class Files(object):
    """The files of this machine, as is_there asks for them; the collection's own NodeFiles need Ansible."""

    @staticmethod
    def kind(path):
        """Something if there is such a path, else None."""
        return 'there' if os.path.exists(path) else None

    @staticmethod
    def text(path):
        """The text of a file, None if it cannot be read."""
        try:
            with open(path) as handle:
                return handle.read()
        except (IOError, OSError, ValueError):
            return None

    def first_line(self, path):
        """Its first line."""
        return (self.text(path) or '').split('\n')[0] or None


def sentence(result):
    """What was measured, in words."""
    states = dict((name, one['state']) for name, one in result['capabilities'].items())
    words = 'Kernel %s: %s; %s' % (result['kernel']['release'], REUSED[states['reuse_without_drop']], WEIGHT_0[states['respects_zero_weight']])
    return '%s. Not everything could be measured: %s.' % (words, result['reason']) if result['reason'] else '%s.' % words


def _load(names):
    """Load modules of the kernel; a sentence if that fails."""
    for name in names:
        try:
            status = subprocess.call(['modprobe', name])
        except OSError as error:
            return 'modprobe cannot be run: %s' % error.strerror
        if status != 0:
            return '%s cannot be loaded' % name
    return None


def main(words=None):
    """Run the script; its exit status."""
    parser = argparse.ArgumentParser(description=__doc__, epilog=EXIT, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--load-module', action='store_true', help='load ip_vs and what else is needed where it is not loaded; for machines that are no nodes')
    options = parser.parse_args(words)
    node = Files()

    def there(name):
        return is_there(node, name)

    problem = None
    if options.load_module and os.geteuid() == 0:
        problem = _load(probe_run.missing_modules(there))
    problem = problem or probe_run.refusal(there)
    if problem:
        sys.stderr.write('Not measured: %s.\n' % problem.replace('load_module is set', '--load-module is given'))
        return REFUSED
    result = probe_run.probe(there)
    print(sentence(result))
    print(json.dumps(result, indent=1, sort_keys=True))
    return CONCLUSIVE if result['answer'] == 'conclusive' else INCONCLUSIVE


if __name__ == '__main__':
    sys.exit(main())
