"""Hosts for tests of what depends on them."""

from dataclasses import replace

from rke2.host.facts import HostFacts

SYSTEMD_HOST = HostFacts(
    cgroup_version=2,
    cgroup_controllers=frozenset({"cpuset", "cpu", "io", "memory", "pids"}),
    systemd=True,
    started_by_systemd=True,
    can_lower_oom_score=True,
    user_namespace=False,
    selinux=False,
    apparmor=True,
    swap=False,
    kernel=(6, 1),
)
"""A server of today."""

MICRO_VM = replace(
    SYSTEMD_HOST,
    cgroup_version=1,
    systemd=False,
    started_by_systemd=False,
    can_lower_oom_score=False,
    apparmor=False,
)
"""cgroup v1, another init, fewer capabilities."""

USER_NAMESPACE = replace(SYSTEMD_HOST, user_namespace=True)
