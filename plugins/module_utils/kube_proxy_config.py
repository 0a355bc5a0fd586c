# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What flags and configuration file make of kube-proxy (kubernetes/kubernetes cmd/kube-proxy/app)."""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import re

METRICS_PORT, HEALTHZ_PORT = 10249, 10256
MODES = ('ipvs', 'iptables', 'nftables', 'userspace')
DEFAULT_MODE = 'iptables'
# Flags that need no value; any other flag without "=" takes the next word.
BOOLEANS = frozenset(
    (
        'masquerade-all',
        'cleanup',
        'cleanup-ipvs',
        'cleanup-iptables',
        'init-only',
        'ipvs-strict-arp',
        'profiling',
        'help',
        'bind-address-hard-fail',
        'logtostderr',
        'alsologtostderr',
        'skip-headers',
        'skip-log-headers',
        'add-dir-header',
        'one-output',
        'iptables-localhost-nodeports',
        'conntrack-tcp-be-liberal',
        'version',
    )
)
# With --config the whole configuration comes from the file: these flags are then accepted and have no effect.
_REPLACED = re.compile(
    r'^(?:proxy-mode|proxy-port-range|cluster-cidr|bind-address|bind-address-hard-fail|kubeconfig|feature-gates|masquerade-all|'
    r'nodeport-addresses|oom-score-adj|udp-timeout|profiling|detect-local-mode|show-hidden-metrics-for-version|config-sync-period|'
    r'(?:metrics|healthz)-(?:bind-address|port)|(?:iptables|ipvs|nftables|conntrack|kube-api|pod)-.+)$'
)


def parse_flags(words):
    """[(name, value)] of a command line, in its order, without the program. Values are text, 'true' for a boolean without one."""
    flags, position = [], 0
    while position < len(words):
        word = words[position]
        position += 1
        if word == '--':
            break
        if not word.startswith('-') or word == '-':
            continue
        name, separator, value = word.lstrip('-').partition('=')
        name = name.replace('_', '-')
        if not separator:
            if re.match(r'v\d+$', name) and not word.startswith('--'):
                name, value = 'v', name[1:]
            elif name not in BOOLEANS and position < len(words) and (not words[position].startswith('-') or re.match(r'-\d', words[position])):
                value = words[position]
                position += 1
            else:
                value = 'true'
        flags.append((name, value))
    return flags


def join_address(host, port):
    """'127.0.0.1:10249', '[::1]:10249'."""
    return ('[%s]:%d' if ':' in host else '%s:%d') % (host, port)


def split_address(text, default_port):
    """(host, port) of 'IP', 'IP:port', '[IP]:port', ':port'; the port is DEFAULT_PORT where it is left out. None if it is neither."""
    text = text.strip()
    if text.count(':') > 1 and re.match(r'^[0-9A-Fa-f:.]+$', text):
        return text, default_port
    found = re.match(r'^\[([0-9A-Fa-f:.]+)\](?::(\d{1,5}))?$', text) or re.match(r'^([^:\s\[\]]*)(?::(\d{1,5}))?$', text)
    if not found:
        return None
    return found.group(1) or '0.0.0.0', int(found.group(2)) if found.group(2) else default_port


def _address(text, default_port, default_host):
    """An address of the configuration with its port, the default if it is empty, the text itself if nobody understands it."""
    if not text:
        return join_address(default_host, default_port)
    parts = split_address(text, default_port)
    return join_address(*parts) if parts else text


def _defaults(bind_address):
    """The hosts on which metrics and health are served by default, which follow the family of bindAddress."""
    return ('::1', '::') if ':' in (bind_address or '') else ('127.0.0.1', '0.0.0.0')


def _number(value):
    try:
        return int(str(value))
    except ValueError:
        return None


def _mode(value):
    """(mode, whether it was given)."""
    value = value.strip().lower() if isinstance(value, str) or hasattr(value, 'strip') else ''
    if not value:
        return DEFAULT_MODE, False
    # Whatever kube-proxy does not know it takes for the default.
    return (value if value in MODES else DEFAULT_MODE), True


def _text(value):
    return value if hasattr(value, 'strip') else ''


def _list(value):
    return [_text(item) for item in value if _text(item)] if isinstance(value, list) else []


def _map(value):
    return value if isinstance(value, dict) else {}


def from_file(config, flags):
    """The settings of a KubeProxyConfiguration (a map) and of the flags beside it."""
    ipvs, logging = _map(config.get('ipvs')), _map(config.get('logging'))
    metrics_host, healthz_host = _defaults(_text(config.get('bindAddress')))
    mode, given = _mode(config.get('mode'))
    last = dict(flags)
    return {
        'mode': mode,
        'mode_source': 'config_file' if given else 'default',
        'metrics_address': _address(_text(config.get('metricsBindAddress')), METRICS_PORT, metrics_host),
        'healthz_address': _address(_text(config.get('healthzBindAddress')), HEALTHZ_PORT, healthz_host),
        'strict_arp': ipvs.get('strictARP') is True,
        'exclude_cidrs': _list(ipvs.get('excludeCIDRs')),
        'scheduler': _text(ipvs.get('scheduler')),
        'verbosity': _number(last['v']) if 'v' in last else _number(logging.get('verbosity', 0)),
        'ignored_flags': ['--%s=%s' % flag for flag in flags if _REPLACED.match(flag[0])],
    }


def _flag_address(last, name, port_name, port, host):
    """An address of the flags; None if they switch the server off."""
    port_text = last.get(port_name)
    if port_text is not None and _number(port_text) == 0:
        return None
    if _number(port_text) and not last.get(name):
        port = _number(port_text)
    if name in last and not last[name].strip('"\''):
        return None
    return _address(last.get(name, ''), port, host)


def from_flags(flags):
    """The settings of a kube-proxy without a configuration file."""
    last = dict(flags)
    metrics_host, healthz_host = _defaults(last.get('bind-address'))
    mode, given = _mode(last.get('proxy-mode', ''))
    return {
        'mode': mode,
        'mode_source': 'flag' if given else 'default',
        'metrics_address': _flag_address(last, 'metrics-bind-address', 'metrics-port', METRICS_PORT, metrics_host),
        'healthz_address': _flag_address(last, 'healthz-bind-address', 'healthz-port', HEALTHZ_PORT, healthz_host),
        'strict_arp': last.get('ipvs-strict-arp', 'false').lower() == 'true',
        # A list flag given twice adds up.
        'exclude_cidrs': [cidr for name, value in flags if name == 'ipvs-exclude-cidrs' for cidr in value.split(',') if cidr],
        'scheduler': last.get('ipvs-scheduler', ''),
        'verbosity': _number(last.get('v', 0)),
        'ignored_flags': [],
    }
