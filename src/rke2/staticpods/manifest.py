"""From the description of a pod to the Kubernetes object the kubelet reads. Pure: no I/O, plain dictionaries.

The pod's uid is a digest of the object itself. Two starts with the same inputs therefore give the same uid, and
the kubelet leaves the running container alone; a change of an argument, the image or the content of a mounted
file (it is in ``FILE_HASH``) gives another uid, and the kubelet replaces the pod. RKE2 takes the MD5 of Go's
printing of the object, which cannot be reproduced outside Go: here it is the first 32 hex digits of the SHA-256
of its canonical JSON.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rke2.config.model import ProbeSettings
from rke2.staticpods.pod import Check, ExecCheck, StaticPod
from rke2.staticpods.quantity import canonical
from rke2.staticpods.volumes import Volume

NAMESPACE = "kube-system"

REQUESTS: Mapping[str, Mapping[str, str]] = {
    "kube-apiserver": {"cpu": "250m", "memory": "1Gi"},
    "kube-scheduler": {"cpu": "100m", "memory": "128Mi"},
    "kube-controller-manager": {"cpu": "200m", "memory": "256Mi"},
    "kube-proxy": {"cpu": "250m", "memory": "128Mi"},
    "etcd": {"cpu": "200m", "memory": "512Mi"},
    "cloud-controller-manager": {"cpu": "100m", "memory": "128Mi"},
}
"""Default resource requests. There are no default limits."""

PROBES: Mapping[str, ProbeSettings] = {
    "startup": ProbeSettings(10, 15, 24, 10),
    "liveness": ProbeSettings(10, 15, 8, 10),
    "readiness": ProbeSettings(0, 15, 3, 1),
}
"""Default probe numbers: initial delay, timeout, failure threshold, period."""

MIN_EXEC_PERIOD = 5
"""Seconds: a process is started for every run of an exec probe, so it does not run more often than this."""


def build(
    pod: StaticPod, volumes: Iterable[Volume], file_hash: str, environ: Mapping[str, str], path: Path
) -> dict[str, Any]:
    """The Pod object.

    Args:
        volumes: every mount, as `rke2.staticpods.volumes.volumes` returns them.
        file_hash: digest of the mounted files' content.
        environ: of this process; variables with "proxy" in their name are handed on.
        path: where the manifest will be; part of the uid.
    """
    mounts = tuple(volumes)
    document: dict[str, Any] = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": _metadata(pod),
        "spec": {
            "containers": [_container(pod, mounts, file_hash, environ)],
            # The network plugin comes after the control plane, and is deployed through it.
            "hostNetwork": True,
            "priorityClassName": "system-cluster-critical",
            **_security(pod),
            "volumes": [_volume(volume) for volume in mounts],
        },
    }
    document["metadata"]["uid"] = _uid(document, path)
    return document


def _uid(document: Mapping[str, Any], path: Path) -> str:
    canonical = json.dumps(document, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{canonical}file:{path}".encode()).hexdigest()[:32]


def _metadata(pod: StaticPod) -> dict[str, Any]:
    metadata: dict[str, Any] = {
        "name": pod.name,
        "namespace": NAMESPACE,
        "labels": {"component": pod.name, "tier": "control-plane"},
    }
    if pod.annotations:
        metadata["annotations"] = dict(pod.annotations)
    return metadata


def _container(
    pod: StaticPod, volumes: tuple[Volume, ...], file_hash: str, environ: Mapping[str, str]
) -> dict[str, Any]:
    return {
        "name": pod.name,
        "image": pod.image,
        # Images come from archives or were pulled before the pod is shown: no registry is asked at a restart.
        "imagePullPolicy": "IfNotPresent",
        "command": [pod.name],
        "args": list(pod.args),
        "ports": [
            {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in pod.ports.items()
        ],
        "env": _environment(pod, file_hash, environ),
        "resources": _resources(pod),
        **_probes(pod),
        "securityContext": {"privileged": pod.privileged},
        "volumeMounts": [_mount(volume) for volume in volumes],
    }


def _environment(pod: StaticPod, file_hash: str, environ: Mapping[str, str]) -> list[dict[str, str]]:
    # Sorted: the order of a process's environment differs between starts and must not change the uid.
    proxies = [(name, value) for name, value in sorted(environ.items()) if "proxy" in name.lower()]
    extra = [tuple(item.split("=", 1)) for item in pod.settings.extra_env if "=" in item]
    # The operator's come last: of a name that is there twice the last value counts.
    return [{"name": name, "value": value} for name, value in [("FILE_HASH", file_hash), *proxies, *extra]]


def _resources(pod: StaticPod) -> dict[str, dict[str, str]]:
    amounts = {
        "requests": {**REQUESTS.get(pod.name, {}), **pod.settings.requests},
        "limits": dict(pod.settings.limits),
    }
    return {
        kind: {name: canonical(text) for name, text in amount.items()}
        for kind, amount in amounts.items()
        if amount
    }


def _probes(pod: StaticPod) -> dict[str, Any]:
    checks = {"startup": pod.startup, "liveness": pod.liveness, "readiness": pod.readiness}
    return {
        f"{kind}Probe": probe(check, PROBES[kind], pod.settings.probes.get(kind, ProbeSettings()))
        for kind, check in checks.items()
        if check is not None
    }


def probe(check: Check, default: ProbeSettings, override: ProbeSettings) -> dict[str, Any]:
    """A Kubernetes probe: what is checked, and the numbers, of which `override`'s win where it has some."""
    numbers = {
        "initialDelaySeconds": _first(override.initial_delay_seconds, default.initial_delay_seconds),
        "timeoutSeconds": _first(override.timeout_seconds, default.timeout_seconds),
        "failureThreshold": _first(override.failure_threshold, default.failure_threshold),
        "periodSeconds": _first(override.period_seconds, default.period_seconds),
    }
    # Zeros are left out, as when Go marshals the probe; the kubelet then takes its own defaults.
    numbers = {name: value for name, value in numbers.items() if value}
    if isinstance(check, ExecCheck):
        numbers["periodSeconds"] = max(numbers.get("periodSeconds", 0), MIN_EXEC_PERIOD)
        return {"exec": {"command": list(check.command)}, **numbers}
    # A name, not 127.0.0.1: in clusters of IPv6 alone the components listen on ::1.
    get = {"host": "localhost", "path": check.path, "port": check.port, "scheme": check.scheme}
    return {"httpGet": get, **numbers}


def _first(value: int | None, default: int | None) -> int:
    return value if value is not None else default or 0


def _security(pod: StaticPod) -> dict[str, Any]:
    context: dict[str, Any] = {}
    if pod.run_as:
        context["runAsUser"], context["runAsGroup"] = pod.run_as
    if pod.selinux_type:
        context["seLinuxOptions"] = {"type": pod.selinux_type}
    return {"securityContext": context} if context else {}


def _volume(volume: Volume) -> dict[str, Any]:
    return {"name": volume.name, "hostPath": {"path": str(volume.source), "type": volume.type}}


def _mount(volume: Volume) -> dict[str, Any]:
    mount = {"name": volume.name, "mountPath": str(volume.target)}
    return {**mount, "readOnly": True} if volume.read_only else mount
