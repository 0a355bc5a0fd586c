# Copyright: the kubeproxy.ipvs authors
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The value at each moment: now, and what the next start of kube-proxy, start of the kubelet and reboot make of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils import kube_proxy_versions
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.capabilities import has_sysctl
from ansible_collections.kubeproxy.ipvs.plugins.plugin_utils.facts import NodeFacts, Writer

NOW, KUBE_PROXY_RESTART, KUBELET_RESTART, REBOOT, UPGRADE = "now", "kube_proxy_restart", "kubelet_restart", "reboot", "upgrade"
# What a kernel starts with, in every network namespace (Linux commit d752c3645717).
KERNEL_DEFAULT = 1
KUBE_PROXY = "kube-proxy"
# Kinds of writers that nothing puts before kube-proxy at boot.
BESIDE_KUBE_PROXY = ("unit", "cron", "rc_local")
# What a report calls the role's own hold. It waits for kube-proxy and looks again and again: measured in the scenario `hold`.
HELD = "kubeproxy.ipvs"


@dataclass(frozen=True)
class Setting:
    """The values that decide a verdict, at one moment. None: not known. writer: who set conn_reuse_mode last."""

    value: int | None
    conntrack: int | None
    expire_nodest_conn: int | None
    writer: str | None = None
    absent: bool = False
    kube_proxy_fails: bool = False
    confidence: str | None = None


def current(facts: NodeFacts) -> Setting:
    """What the node has now."""
    return Setting(facts.value, facts.conntrack, facts.expire_nodest_conn, absent=facts.value_absent)


def _booted(facts: NodeFacts) -> Setting:
    """What the kernel itself starts with when ip_vs is loaded anew; not known where files that nobody has read may change it at once."""
    present = has_sysctl(facts)
    if not facts.writers_read:
        return Setting(None, None, None, absent=present is False)
    return Setting(KERNEL_DEFAULT if present else None, 0, 0, absent=present is False)


def kube_proxy_started(setting: Setting, facts: NodeFacts) -> Setting:
    """What a start of kube-proxy in IPVS mode makes of SETTING."""
    behaviour = kube_proxy_versions.at_start(facts.kube_proxy, facts.kernel_version, setting.absent, facts.runs_ipvs)
    if behaviour.action == kube_proxy_versions.FAIL:
        return replace(setting, kube_proxy_fails=True, writer=KUBE_PROXY, confidence=behaviour.confidence)
    expire = {"yes": 1, "no": setting.expire_nodest_conn}.get(kube_proxy_versions.writes_expire_nodest_conn(facts.kube_proxy))
    if expire is None and setting.expire_nodest_conn == 1:
        expire = 1
    started = replace(setting, conntrack=1, expire_nodest_conn=expire)
    if setting.absent or behaviour.action == kube_proxy_versions.LEAVE:
        return started
    if behaviour.action == kube_proxy_versions.UNKNOWN:
        # Whatever it is, kube-proxy never writes anything but 0: a 0 stays a 0.
        return started if setting.value == 0 else replace(started, value=None, writer=KUBE_PROXY)
    return replace(started, value=behaviour.value, writer=KUBE_PROXY, confidence=behaviour.confidence)


def _last_word(writers: tuple[Writer, ...], moment: str) -> Writer | None:
    """The writer on the node's disk that has the last word at MOMENT, those that repeat themselves left out."""
    firing = [writer for writer in writers if moment in writer.moments and not writer.period_seconds]
    winning = [writer for writer in firing if moment in writer.wins]
    return (winning or firing or [None])[-1]


def _comes_late(writer: Writer) -> bool:
    """Whether a writer acts some time after the boot, when kube-proxy has most likely started. Those of kube-proxy's own start act with that."""
    return writer.waits and writer.kind in BESIDE_KUBE_PROXY and KUBE_PROXY_RESTART not in writer.moments


def _written_late(setting: Setting, writer: Writer | None) -> Setting:
    """What a writer makes of SETTING that comes some time after the boot. Nobody knows whether kube-proxy has started by then."""
    if writer is None or setting.absent or writer.value == setting.value:
        return setting
    return replace(setting, value=writer.value, writer=writer.name, confidence="inferred")


def _written(setting: Setting, writer: Writer | None) -> Setting:
    if writer is None or setting.absent:
        return setting
    return replace(setting, value=writer.value, writer=writer.name, confidence=None)


def _guarded(setting: Setting, facts: NodeFacts) -> Setting:
    """What the guards of kube-proxy's own start make of the value: one that does not wait loses against kube-proxy."""
    for guard in facts.guards:
        if guard.period_seconds or setting.absent:
            continue
        if guard.waits or setting.writer != KUBE_PROXY:
            setting = replace(setting, value=guard.value, writer=guard.path, confidence="inferred")
    return setting


def _repeated(setting: Setting, facts: NodeFacts) -> Setting:
    """Whatever writes again and again has the last word at every moment."""
    for repeating in (*facts.writers, *facts.guards):
        if repeating.period_seconds and not setting.absent:
            name = repeating.path or getattr(repeating, "kind", "")
            setting = replace(setting, value=repeating.value, writer=name, confidence="inferred")
    if not facts.writers_read and setting.value is not None:
        # What kube-proxy writes at its start; whether something writes after it, nobody has looked.
        setting = replace(setting, confidence="inferred")
    if facts.managed is not None and facts.managed.holds and not setting.absent:
        setting = replace(setting, value=facts.managed.value, writer=HELD, confidence="inferred" if facts.managed.has_daemonset else None)
    return setting


def _disk_writers(facts: NodeFacts) -> tuple[Writer, ...]:
    """The writers that are not also listed as a guard of kube-proxy's start."""
    guards = {guard.path for guard in facts.guards}
    return tuple(writer for writer in facts.writers if writer.path not in guards)


def after_kube_proxy_restart(facts: NodeFacts, setting: Setting | None = None) -> Setting:
    """The setting after kube-proxy was started anew on the running kernel."""
    started = kube_proxy_started(setting or current(facts), facts)
    started = _written(started, _last_word(_disk_writers(facts), KUBE_PROXY_RESTART)) if started.writer != KUBE_PROXY else started
    return _repeated(_guarded(started, facts), facts)


def after_kubelet_restart(facts: NodeFacts, setting: Setting | None = None) -> Setting:
    """The setting after the kubelet was started anew; where kube-proxy lives in the same process, that starts too."""
    setting = _written(setting or current(facts), _last_word(_disk_writers(facts), KUBELET_RESTART))
    if kube_proxy_versions.restarts_with_kubelet(facts.form, facts.kube_proxy):
        return after_kube_proxy_restart(facts, setting)
    return _repeated(setting, facts)


def after_reboot(facts: NodeFacts) -> Setting:
    """The setting after a reboot, once all has come: the kernel's default, the files, kube-proxy, its guards, then what waits for a while."""
    writers = _disk_writers(facts)
    early, late = tuple(writer for writer in writers if not _comes_late(writer)), tuple(writer for writer in writers if _comes_late(writer))
    started = _guarded(kube_proxy_started(_written(_booted(facts), _last_word(early, REBOOT)), facts), facts)
    return _repeated(_written_late(started, _last_word(late, REBOOT)), facts)


def settings(facts: NodeFacts) -> dict[str, Setting]:
    """The setting at each moment, for a node in IPVS mode."""
    return {
        NOW: current(facts),
        KUBE_PROXY_RESTART: after_kube_proxy_restart(facts),
        KUBELET_RESTART: after_kubelet_restart(facts),
        REBOOT: after_reboot(facts),
    }
