"""``helm-controller-arg``: what the jobs that install charts have in common.

RKE2 parses these arguments with the flags of its helm controller, uses three of them and ignores the others, unknown
names too. Here a name that is not one of them is an error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from rke2.config.model import HelmJobSettings
from rke2.config.names import is_quantity
from rke2.config.settings import Settings
from rke2.config.suggest import did_you_mean

FLAG = "helm-controller-arg"
IMAGE, RESOURCES, TOLERATIONS = "default-job-image", "job-resources", "job-tolerations"
WITHOUT_EFFECT = (
    "controller-name",
    "debug",
    "debug-level",
    "job-cluster-role",
    "kubeconfig",
    "master-url",
    "namespace",
    "node-name",
    "pprof-port",
    "threads",
)
"""Of a controller that runs by itself; RKE2 takes them, too."""


class _Toleration(
    msgspec.Struct, frozen=True, rename="camel", forbid_unknown_fields=True, omit_defaults=True
):
    key: str = ""
    operator: str = ""
    value: str = ""
    effect: str = ""
    toleration_seconds: int | None = None


class _Requirements(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    limits: dict[str, str | int | float] = {}
    requests: dict[str, str | int | float] = {}


def helm_jobs(settings: Settings) -> HelmJobSettings:
    """What the arguments say; of several of one name the last counts.

    Raises:
        ConfigError: an argument is unknown, or its value is not the JSON that is wanted.
    """
    given: dict[str, tuple[str, str]] = {}
    for item in settings.items(FLAG):
        name, _, value = item.lstrip("-").partition("=")
        if name not in (IMAGE, RESOURCES, TOLERATIONS, *WITHOUT_EFFECT):
            known = (IMAGE, RESOURCES, TOLERATIONS)
            remedy = did_you_mean(name, known) or f"those with an effect are {', '.join(known)}"
            raise settings.invalid(FLAG, item, f"{name!r} is no argument of the helm controller", remedy)
        given[name] = (item, value)
    return HelmJobSettings(
        image=given.get(IMAGE, ("", ""))[1].strip(),
        resources=_resources(settings, *given[RESOURCES]) if RESOURCES in given else None,
        tolerations=_tolerations(settings, *given[TOLERATIONS]) if TOLERATIONS in given else (),
    )


def _resources(settings: Settings, item: str, text: str) -> Mapping[str, Mapping[str, str]]:
    example = """write it like job-resources={"requests": {"cpu": "100m"}, "limits": {"memory": "1G"}}"""
    found = _read(settings, item, text, _Requirements, example) if text else _Requirements()
    named: Mapping[str, Mapping[str, Any]] = msgspec.to_builtins(found)
    result = {
        kind: {name: str(amount) for name, amount in amounts.items()} for kind, amounts in named.items()
    }
    for amounts in result.values():
        for name, amount in amounts.items():
            if not is_quantity(amount):
                raise settings.invalid(FLAG, item, f"{amount!r} of {name} is not a quantity", example)
    return result


def _tolerations(settings: Settings, item: str, text: str) -> tuple[Mapping[str, Any], ...]:
    example = """write it like job-tolerations=[{"key": "dedicated", "operator": "Exists"}]"""
    found = _read(settings, item, text, list[_Toleration], example) if text else []
    return tuple(msgspec.to_builtins(found))


def _read(settings: Settings, item: str, text: str, kind: Any, example: str) -> Any:
    try:
        return msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError as error:
        raise settings.invalid(FLAG, item, f"not the JSON that is wanted: {error}", example) from error
