"""Component arguments that the version of Kubernetes no longer takes are refused before anything starts.

The program would end at once, and again at each restart; RKE2 passes them on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

from rke2.config import kubernetes
from rke2.config.kubernetes import Gone, Minor
from rke2.config.settings import Settings

log = logging.getLogger(__name__)

PROGRAMS = ("kubelet", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")
_ADMISSION = ("enable-admission-plugins", "disable-admission-plugins")


def refuse_gone(settings: Settings) -> None:
    """Check the ``*-arg`` items of Kubernetes' programs; one whose meaning changed is a warning.

    Raises:
        ConfigError: naming the item and what to do instead.
    """
    for program in PROGRAMS:
        flag = f"{program}-arg"
        if not settings.has(flag):
            continue
        minor = _minor(settings, program)
        for item in settings.items(flag):
            for reason, remedy in problems(minor, program, item):
                raise settings.invalid(flag, item, reason, remedy)
            if meaning := other_meaning(minor, program, item):
                log.warning("%s %s: with Kubernetes 1.%d this means %s", flag, item, minor.number, meaning)


def _minor(settings: Settings, program: str) -> Minor:
    names = (f"{program}-image", "runtime-image")
    return kubernetes.of(*(settings.text(name) for name in names if settings.has(name)))


def problems(minor: Minor, program: str, item: str) -> Iterator[tuple[str, str]]:
    """Reason and remedy for each part of `item` that `program` of `minor` does not take.

    Args:
        item: of a ``*-arg`` list, such as ``feature-gates=A=true``; leading dashes do not matter.
    """
    key, _, value = item.lstrip("-").partition("=")
    key = key.rstrip("+-")
    version = f"{program} of Kubernetes 1.{minor.number}"
    for gone in minor.changes:
        if instead := gone.flags.get(program, {}).get(key):
            yield f"{version} has no flag --{key}", instead
        for kind, name, instead in _named(gone, program, key, value):
            yield f"{version} has no {kind} {name} and does not start when it is named", instead


def _named(gone: Gone, program: str, key: str, value: str) -> Iterator[tuple[str, str, str]]:
    """Kind, name and remedy of what a list names that is gone."""
    names = value.split(",")
    if key == "feature-gates":
        # An entry is Gate=true or, for the gates of one component, kube:Gate=true.
        gates = (name.partition("=")[0].rpartition(":")[2].strip() for name in names)
        yield from (
            ("feature gate", gate, f"remove {gate} from {key}")
            for gate in gates
            if gate in gone.feature_gates
        )
    if program == "kube-apiserver" and key in _ADMISSION:
        yield from (
            ("admission plugin", name, f"remove {name} from {key}")
            for name in names
            if name in gone.admission_plugins
        )
    if program == "kube-controller-manager" and key == "controllers":
        for name in (name.lstrip("-") for name in names):
            if instead := gone.controllers.get(name):
                yield "controller", name, instead


def other_meaning(minor: Minor, program: str, item: str) -> str:
    """What `item` means to `program` of `minor` if it meant something else before; empty if it did not."""
    meanings = (gone.other_meanings.get(program, {}).get(item.lstrip("-"), "") for gone in minor.changes)
    return next(filter(None, meanings), "")
