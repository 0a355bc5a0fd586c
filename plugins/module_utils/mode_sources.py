# -*- coding: utf-8 -*-
# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Where a kube-proxy gets its arguments from the next time that it starts, for each form that has them in files of the node.

A source reads the arguments, also with some of the files changed, and offers each change of its files that could give another mode.
"""

from __future__ import absolute_import, division, print_function

__metaclass__ = type

import itertools

from ansible.module_utils.common.text.converters import to_text

from ansible_collections.kubeproxy.ipvs.plugins.module_utils import (
    kube_proxy_argument_files,
    kube_proxy_arguments,
    kube_proxy_rancher,
    mode_in_flags,
    mode_in_rancher,
    unit_commands,
)
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.editable_files import FileRefusal, followed, is_of_package, permissions_of, reason_of, text_of
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.line_edits import Edit
from ansible_collections.kubeproxy.ipvs.plugins.module_utils.systemd_units import Units

UNIT_DIRECTORY = '/etc/systemd/system'
DROP_IN = '91-kubeproxy-ipvs-mode.conf'
DROP_IN_TEXT = '# kubeproxy.ipvs: the mode of kube-proxy. The rest of the command is that of %s.\n[Service]\nExecStart=\nExecStart=%s\n'
# Written by this collection alone, and therefore as a whole.
OWN_FILES = (DROP_IN, mode_in_rancher.FILE_NAME)
# A kube-proxy of MicroK8s with a unit of its own, before 1.21.
MICROK8S_UNITS = 'snap.microk8s.'


def _unit_of(node, name):
    return Units(node).find(name) if name else None


def _unit_files(unit):
    return ([unit.path] if unit.path else []) + unit.drop_ins


class _Source(object):
    """What all sources have in common."""

    kind = 'unknown'

    def __init__(self, node, units, proxy):
        self.node, self.units, self.proxy = node, units, proxy
        self.unit = units.find(proxy['unit']) if proxy['unit'] else None
        self.texts = {}
        self.problems = []

    def text(self, path):
        """The text of a file, None if it cannot be taken as text."""
        if path not in self.texts:
            try:
                self.texts[path] = text_of(self.node, path)
            except FileRefusal as error:
                self.problems.append(to_text(error))
                self.texts[path] = None
        return self.texts[path]

    def edits(self, paths, function, *arguments):
        """The Edits of those of PATHS that may be changed, for each text that FUNCTION makes of theirs."""
        for path in paths:
            try:
                real = followed(self.node, path)
            except FileRefusal as error:
                self.problems.append(to_text(error))
                continue
            text = None if is_of_package(real) else self.text(real)
            for after in function(text, *arguments) if text is not None else ():
                yield Edit(real, text, after, permissions_of(self.node, real))

    def drop_in(self, command):
        """The Edit that makes a drop-in with COMMAND in place of that of the unit."""
        path = '%s/%s.d/%s' % (UNIT_DIRECTORY, self.unit.name, DROP_IN)
        before = self.text(path) if self.node.kind(path) == 'file' else None
        return Edit(path, before, DROP_IN_TEXT % (self.unit.values('Service', 'ExecStart')[-1]['path'], command))

    def restart(self):
        """The unit whose restart makes a change count, or None."""
        return self.unit.name if self.unit is not None else self.proxy['unit']

    def kind_of(self, path):
        """What the file at PATH is."""
        return self.kind

    def shown(self):
        """The name of the place, for people."""
        return self.unit.name if self.unit is not None else 'the files of this node'


class UnitSource(_Source):
    """A unit of systemd that starts kube-proxy, itself or by a script, or that has a file of its own for the arguments."""

    def _look(self, view):
        """(arguments or None, the argument file or the script that they stand in or None, why they are not known or None)."""
        unit = _unit_of(view, self.proxy['unit'])
        if unit is None or not _unit_files(unit):
            return None, None, 'the unit %s has no file on this node' % self.proxy['unit']
        if unit.masked:
            return None, None, 'the unit %s is masked' % unit.name
        if unit.name.startswith(MICROK8S_UNITS):
            found = kube_proxy_argument_files.snap_arguments(view, kube_proxy_argument_files.MICROK8S_ARGUMENTS)
            return found.words, kube_proxy_argument_files.MICROK8S_ARGUMENTS, '%s cannot be read' % kube_proxy_argument_files.MICROK8S_ARGUMENTS
        command = unit_commands.command_of(view, unit)
        words = kube_proxy_arguments.after_program(command)
        vendor = None if words else kube_proxy_argument_files.vendor_arguments(view, unit)
        if vendor is not None:
            return vendor.words, vendor.path, '%s cannot be read' % (vendor.path or kube_proxy_argument_files.CHARMED_ARGUMENTS)
        if words is not None:
            return words, None, None
        return self._in_script(view, unit, command)

    @staticmethod
    def _in_script(view, unit, command):
        names = [word for word in command if not word.startswith('-')]
        by_shell = bool(names) and names[0].rpartition('/')[2] in kube_proxy_arguments.SHELLS
        path = names[by_shell] if len(names) > by_shell else ''
        text = view.text(path) if path.startswith('/') and view.kind(path) == 'file' else None
        if text is None or not (by_shell or text.startswith('#!')):
            return None, None, '%s starts kube-proxy by a command that is not understood: %s' % (unit.name, ' '.join(command)[:200])
        script = mode_in_flags.read_script(text)
        return script.arguments, path, '%s, which %s runs: %s' % (path, unit.name, script.problem)

    def _elsewhere(self):
        """The argument file or the script, None if the arguments stand in the unit."""
        return self._look(self.node)[1]

    def words(self, view):
        """The arguments of kube-proxy, None if they are not known."""
        return self._look(view)[0]

    def why_unknown(self):
        """Why the arguments are not known."""
        return self._look(self.node)[2]

    def kind_of(self, path):
        """What the file at PATH is."""
        if path.endswith('/' + DROP_IN) or path in [followed(self.node, name) for name in _unit_files(self.unit)]:
            return 'unit'
        if self._elsewhere() is None:
            return 'environment_file'
        return 'script' if (self.text(path) or '').startswith('#!') else 'argument_file'

    def replacements(self, mode):
        """The Edits that may change the mode where one is given."""
        elsewhere = self._elsewhere()
        if elsewhere is not None:
            return self.edits([elsewhere], mode_in_flags.flags_replaced, mode)
        files = unit_commands.environment_files(self.node, self.unit) + _unit_files(self.unit)
        command = self.unit.values('Service', 'ExecStart')[-1]['value']
        return itertools.chain(
            self.edits(files, mode_in_flags.flags_replaced, mode),
            self.edits(files, mode_in_flags.variables_replaced, mode_in_flags.variables_of_mode(command), mode),
            (self.drop_in(other) for other in mode_in_flags.flags_replaced(command, mode)),
        )

    def additions(self, mode):
        """The Edits that may give a mode where none is given."""
        elsewhere = self._elsewhere()
        if elsewhere is not None:
            return self.edits([elsewhere], self._with_argument, mode)
        command = self.unit.values('Service', 'ExecStart')[-1]
        own = [path for path in reversed(unit_commands.environment_files(self.node, self.unit)) if not self._is_shared(path)]
        return itertools.chain(
            self.edits(own, mode_in_flags.variables_extended, command['value'], mode),
            self.edits([command['path']], mode_in_flags.command_extended, command['line'], mode),
            [self.drop_in('%s --%s=%s' % (command['value'], mode_in_flags.FLAG, mode))],
        )

    @staticmethod
    def _with_argument(text, mode):
        line = mode_in_flags.read_script(text).line if text.startswith('#!') else None
        return mode_in_flags.command_extended(text, line, mode) if line else mode_in_flags.arguments_extended(text, mode)

    def _is_shared(self, path):
        """Whether another unit reads this environment file: what kube-proxy alone understands must not come in there."""
        others = [self.units.find(name) for name in self.units.names() if name != self.unit.name]
        return any(path in unit_commands.environment_files(self.node, unit) for unit in others if unit is not None)


class RancherSource(_Source):
    """k3s, which makes the arguments of kube-proxy itself."""

    def _command(self, view, unit):
        words = unit_commands.command_of(view, unit) if unit is not None else []
        return kube_proxy_arguments.k3s_command(words) or words

    def config(self):
        """The path of config.yaml."""
        environment = unit_commands.environment_of(self.node, self.unit) if self.unit is not None else {}
        return mode_in_rancher.config_path_of(self._command(self.node, self.unit), environment.get('K3S_CONFIG_FILE'), kube_proxy_rancher.K3S_CONFIG)

    def config_files(self):
        """config.yaml and all that adds to it, the last one first."""
        path = self.config()
        names = [name for name in self.node.names(path + '.d') or [] if name.endswith(('.yaml', '.yml'))]
        return [path + '.d/' + name for name in reversed(names)] + ([path] if self.node.kind(path) else [])

    def words(self, view):
        """The arguments of kube-proxy, None if they are not known."""
        unit = _unit_of(view, self.unit.name) if self.unit is not None else None
        return kube_proxy_rancher.k3s_arguments(view, unit).words

    def why_unknown(self):
        """Why the arguments are not known."""
        for path in self.config_files():
            if reason_of(self.node, path):
                return '%s: %s' % (path, reason_of(self.node, path))
        return 'the configuration in %s cannot be read' % self.config()

    def kind_of(self, path):
        """What the file at PATH is."""
        known = [followed(self.node, name) for name in self.config_files()]
        return 'rancher_config' if path in known or path.endswith('/' + mode_in_rancher.FILE_NAME) else 'unit'

    def shown(self):
        """The name of the place, for people."""
        return self.config() + (' and ' + self.unit.name if self.unit is not None else '')

    def replacements(self, mode):
        """The Edits that may change the mode where one is given."""
        starts = _unit_files(self.unit) if self.unit is not None else ['/etc/init.d/' + name for name in self.node.names('/etc/init.d') or []]
        commands = [entry['value'] for entry in self.unit.values('Service', 'ExecStart')[-1:]] if self.unit is not None else []
        return itertools.chain(
            self.edits(starts + self.config_files(), mode_in_rancher.arguments_replaced, mode),
            (self.drop_in(other) for command in commands for other in mode_in_rancher.arguments_replaced(command, mode)),
        )

    def additions(self, mode):
        """The Edit that adds a file with the mode."""
        path = '%s.d/%s' % (self.config(), mode_in_rancher.FILE_NAME)
        if not mode_in_rancher.appends(self.proxy['version']):
            known = 'version %s' % self.proxy['version'] if self.proxy['version'] else 'a version that cannot be told'
            sentence = 'no mode is set in %s, and %s is not known to add to a list with %s+ in %s'
            self.problems.append(sentence % (self.config(), known, mode_in_rancher.KEY, path))
            return []
        return [Edit(path, self.text(path) if self.node.kind(path) == 'file' else None, mode_in_rancher.added_file(mode), '0600')]


class Rke2Source(RancherSource):
    """RKE2, which writes the manifest of a static pod at each of its starts."""

    def __init__(self, node, units, proxy):
        RancherSource.__init__(self, node, units, proxy)
        # The pod has no unit; that which writes its manifest does.
        self.unit = unit_commands.find_unit_of(units, ('rke2',), mode_in_rancher.starts_rke2)

    def config(self):
        """The path of config.yaml."""
        environment = unit_commands.environment_of(self.node, self.unit) if self.unit is not None else {}
        return mode_in_rancher.config_path_of(self._command(self.node, self.unit), environment.get('RKE2_CONFIG_FILE'), kube_proxy_rancher.RKE2_CONFIG)

    def words(self, view):
        """The arguments of kube-proxy, None if they are not known."""
        unit = _unit_of(view, self.unit.name) if self.unit is not None else None
        settings = kube_proxy_rancher.rancher_settings(view, self.config())
        return None if settings is None else mode_in_rancher.rke2_arguments(settings, self._command(view, unit))

    def restart(self):
        """The unit whose restart makes a change count, or None."""
        return self.unit.name if self.unit is not None else None


class MicroK8sSource(_Source):
    """kube-proxy inside kubelite, which reads a file of arguments."""

    kind = 'argument_file'

    def _path(self):
        return kube_proxy_argument_files.microk8s_arguments(self.node, self.proxy['argv']).path or kube_proxy_argument_files.MICROK8S_ARGUMENTS

    def words(self, view):
        """The arguments of kube-proxy, None if they are not known."""
        return kube_proxy_argument_files.microk8s_arguments(view, self.proxy['argv']).words

    def why_unknown(self):
        """Why the arguments are not known."""
        return '%s cannot be read: %s' % (self._path(), reason_of(self.node, self._path()) or 'there is no such file')

    def shown(self):
        """The name of the place, for people."""
        return self._path()

    def replacements(self, mode):
        """The Edits that may change the mode where one is given."""
        return self.edits([self._path()], mode_in_flags.flags_replaced, mode)

    def additions(self, mode):
        """The Edits that may give a mode where none is given."""
        return self.edits([self._path()], mode_in_flags.arguments_extended, mode)


SOURCES = {'systemd': UnitSource, 'k3s': RancherSource, 'rke2': Rke2Source, 'microk8s': MicroK8sSource}
