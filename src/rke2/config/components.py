"""Settings of the static pods: arguments, images, mounts, environment, resources and probes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import PurePosixPath

from rke2.config.model import COMPONENTS, ComponentSettings, ProbeSettings
from rke2.config.names import is_env_name, is_quantity
from rke2.config.settings import Settings
from rke2.config.suggest import did_you_mean
from rke2.errors import ConfigError, NotSupportedError

PROBES = ("liveness", "readiness", "startup")
PROBE_FIELDS = ("initial-delay-seconds", "timeout-seconds", "failure-threshold", "period-seconds")
RESOURCES = ("cpu", "memory")
HOST_PATH_TYPES = (
    "",
    "DirectoryOrCreate",
    "Directory",
    "FileOrCreate",
    "File",
    "Socket",
    "CharDevice",
    "BlockDevice",
)

_ARGUMENT_FLAGS = {
    "etcd": "etcd-arg",
    "kube-apiserver": "kube-apiserver-arg",
    "kube-controller-manager": "kube-controller-manager-arg",
    "kube-scheduler": "kube-scheduler-arg",
    "kube-proxy": "kube-proxy-arg",
    "cloud-controller-manager": "kube-cloud-controller-manager-arg",
}
_DISABLE_FLAGS = {
    "etcd": "disable-etcd",
    "kube-apiserver": "disable-apiserver",
    "kube-controller-manager": "disable-controller-manager",
    "kube-scheduler": "disable-scheduler",
    "kube-proxy": "disable-kube-proxy",
}
_UNPACKAGED = ("cloud-controller-manager",)
"""No content for these yet: they count as disabled (`disable-cloud-controller` is always on)."""


def component_settings(settings: Settings) -> Mapping[str, ComponentSettings]:
    """Settings per static pod.

    Raises:
        ConfigError: a value does not follow its grammar.
    """
    requests = _resources(settings, "control-plane-resource-requests")
    limits = _resources(settings, "control-plane-resource-limits")
    probes = _probes(settings)
    return {
        name: ComponentSettings(
            args=settings.items(flag) if settings.has(flag) else (),
            image=settings.text(f"{name}-image"),
            extra_mounts=_mounts(settings, f"{name}-extra-mount"),
            extra_env=_environment(settings, f"{name}-extra-env"),
            requests=requests[name],
            limits=limits[name],
            probes=probes[name],
            disabled=_disabled(settings, name),
        )
        for name, flag in _ARGUMENT_FLAGS.items()
    }


def _disabled(settings: Settings, component: str) -> bool:
    flag = _DISABLE_FLAGS.get(component, "")
    return component in _UNPACKAGED or (settings.has(flag) and settings.on(flag))


def _resources(settings: Settings, flag: str) -> dict[str, dict[str, str]]:
    """Items ``<component>-(cpu|memory)=<quantity>`` by component and resource."""
    found: dict[str, dict[str, str]] = {name: {} for name in COMPONENTS}
    for item in settings.items(flag):
        key, _, quantity = item.partition("=")
        component, resource = _split_key(settings, flag, item, key, RESOURCES)
        if not is_quantity(quantity):
            raise settings.invalid(flag, item, f"{quantity!r} is not a quantity", "write it like 250m or 1Gi")
        found[component][resource] = quantity
    return found


def _probes(settings: Settings) -> dict[str, dict[str, ProbeSettings]]:
    """Items ``<component>-<probe>-<field>=<number>`` by component and probe."""
    flag = "control-plane-probe-configuration"
    endings = tuple(f"{probe}-{field}" for probe in PROBES for field in PROBE_FIELDS)
    found: dict[str, dict[str, ProbeSettings]] = {name: {} for name in COMPONENTS}
    for item in settings.items(flag):
        key, _, number = item.partition("=")
        component, ending = _split_key(settings, flag, item, key, endings)
        if not number.isdecimal():
            raise settings.invalid(flag, item, f"{number!r} is not a number of at least 0")
        probe, _, field = ending.partition("-")
        earlier = found[component].get(probe, ProbeSettings())
        found[component][probe] = replace(earlier, **{field.replace("-", "_"): int(number)})
    return found


def _split_key(
    settings: Settings, flag: str, item: str, key: str, endings: tuple[str, ...]
) -> tuple[str, str]:
    """Divide ``<component>-<ending>``."""
    known = {f"{component}-{ending}": (component, ending) for component in COMPONENTS for ending in endings}
    if key not in known:
        raise settings.invalid(
            flag,
            item,
            f"{key!r} names no component and setting",
            did_you_mean(key, known) or f"components are {', '.join(COMPONENTS)}",
        )
    component, ending = known[key]
    if component in _UNPACKAGED:
        raise NotSupportedError(
            f"{flag}: {item} is not supported yet: no {component} is packaged", f"remove {item} from {flag}"
        )
    return component, ending


def _mounts(settings: Settings, flag: str) -> tuple[str, ...]:
    """Check ``src:dst``, ``src:dst:ro|rw`` or ``src:dst:<ignored>:<HostPathType>``; upstream skips bad ones."""
    for item in settings.items(flag):
        problem = _mount_problem(item.split(":"))
        if problem:
            raise settings.invalid(
                flag, item, problem, "write it as /source:/destination, with :ro or :rw behind"
            )
    return settings.items(flag)


def _mount_problem(fields: list[str]) -> str:
    if not 2 <= len(fields) <= 4:
        return "not 2 to 4 fields separated by colons"
    if not all(PurePosixPath(path).is_absolute() for path in fields[:2]):
        return "source and destination must be absolute paths"
    if len(fields) == 3 and fields[2] not in ("ro", "rw"):
        return f"the option {fields[2]!r} is neither ro nor rw"
    if len(fields) == 4 and fields[3] not in HOST_PATH_TYPES:
        return f"{fields[3]!r} is not a hostPath type"
    return ""


def _environment(settings: Settings, flag: str) -> tuple[str, ...]:
    for item in settings.items(flag):
        name, equals, _ = item.partition("=")
        if not equals or not is_env_name(name):
            raise settings.invalid(flag, item, "not an environment variable", "write it as KEY=VALUE")
    return settings.items(flag)


def check_arguments(settings: Settings) -> None:
    """Refuse component arguments without a name.

    Raises:
        ConfigError: naming the flag and the item.
    """
    for flag in (*_ARGUMENT_FLAGS.values(), "kubelet-arg"):
        for item in settings.items(flag) if settings.has(flag) else ():
            if not item.lstrip("-").partition("=")[0].strip():
                raise _nameless(settings, flag, item)


def _nameless(settings: Settings, flag: str, item: str) -> ConfigError:
    return settings.invalid(flag, item, "no argument", "write it as name=value")
