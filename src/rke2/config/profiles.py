"""THE table of hardening profiles: what each asks of the host, and what it changes (day2 reference §9).

The code that makes a difference asks for the column, never for the name of a profile.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from rke2.config.settings import Settings
from rke2.errors import ConfigError
from rke2.host.kernel import HARDENED_SYSCTLS


@dataclass(frozen=True)
class Profile:
    """One row.

    Args:
        sysctls: values that the host has to have; they are looked at and never set.
        etcd_user: the host has a user and a group ``etcd``, as which etcd runs.
        closed_manifests: manifests of static pods are for root alone.
        short_tokens: tokens of ServiceAccounts end when they say so (kube-apiserver extends them to a year).
        audit: an audit policy by default.
        restricted_pods: the pod security standard ``restricted`` outside of the exempt namespaces.
        guarded_namespaces: network policies and ServiceAccounts without tokens in the namespaces every cluster has.
    """

    sysctls: Mapping[str, int] = field(default_factory=dict)
    etcd_user: bool = False
    closed_manifests: bool = False
    short_tokens: bool = False
    audit: bool = False
    restricted_pods: bool = False
    guarded_namespaces: bool = False


NONE = Profile()
ETCD = Profile(etcd_user=True, closed_manifests=True)
CIS = Profile(
    sysctls=HARDENED_SYSCTLS,
    etcd_user=True,
    closed_manifests=True,
    short_tokens=True,
    audit=True,
    restricted_pods=True,
    guarded_namespaces=True,
)

PROFILES: Mapping[str, Profile] = {"": NONE, "etcd": ETCD, "cis": CIS}


def profile_of(name: str) -> Profile:
    """The row of a value of ``profile`` that `rke2.config.settings` has let through."""
    return PROFILES[name]


def protects_kernel_defaults(settings: Settings) -> bool:
    """``protect-kernel-defaults``, which a profile with sysctls sets.

    Raises:
        ConfigError: it is switched off beside such a profile.
    """
    name, on = settings.text("profile"), settings.on("protect-kernel-defaults")
    if not profile_of(name).sysctls or on:
        return on
    if settings.is_given("protect-kernel-defaults"):
        raise ConfigError(
            f"--protect-kernel-defaults must be true when using --profile={name}",
            "remove protect-kernel-defaults: false, or the profile",
        )
    return True
