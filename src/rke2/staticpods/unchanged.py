"""Whether the manifest that lies there describes the pod as it is wanted, put another way.

Then it is left, with its uid: the pod runs on. It may be of RKE2, whose uid is the MD5 of Go's printing of the object,
which cannot be reproduced; of an earlier release; or this program's own. What counts as put another way:

- a field that is missing and one that has its zero value;
- spellings of an amount and of an image's name;
- the order of environment variables, and ``NO_PROXY`` where no proxy is set, which changes nothing;
- an argument, or etcd's startup probe, without which the component does the same, or nearly (`StaticPod.implied`);
- a liveness probe of kube-apiserver that asks for etcd, too.

The last two kinds become this program's with the pod's next change. docs/from-rke2.md lists them.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from rke2.staticpods.quantity import canonical

_PROXIES = frozenset({"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"})
STARTUP_PROBE = "startupProbe"
_PROBES = (STARTUP_PROBE, "livenessProbe", "readinessProbe")


def unchanged(present: Any, wanted: Mapping[str, Any], implied: Set[str] = frozenset()) -> bool:
    """Whether `present` is the manifest of a pod with a uid that is as `wanted`.

    Args:
        present: what was read of the file.
        implied: of the pod.
    """
    try:
        probed = STARTUP_PROBE not in implied or _has_startup_probe(present)
        here, there = (_essence(document, implied, probed) for document in (present, wanted))
        # Without a uid the kubelet makes one up, and nobody could tell the pod's sandbox from a stale one.
        return bool(present["metadata"]["uid"]) and here == there
    except (KeyError, TypeError, AttributeError, IndexError):
        # Whatever is in the file: what cannot be compared is replaced.
        return False


def _has_startup_probe(document: Mapping[str, Any]) -> bool:
    return bool(document["spec"]["containers"][0].get(STARTUP_PROBE))


def _essence(document: Mapping[str, Any], implied: Set[str], probed: bool) -> Any:
    """What of a manifest makes a pod another one; its startup probe only if `probed`."""
    # Not the uid, which cannot be computed for a manifest of RKE2.
    metadata = {key: document["metadata"].get(key) for key in ("name", "namespace", "labels", "annotations")}
    spec = dict(document["spec"])
    kinds = _PROBES if probed else _PROBES[1:]
    spec["containers"] = [_container(container, implied, kinds) for container in spec["containers"]]
    return _without_zeros({"metadata": metadata, "spec": spec})


def _container(container: Mapping[str, Any], implied: Set[str], probes: tuple[str, ...]) -> dict[str, Any]:
    result = {
        **container,
        "image": full_name(container["image"]),
        # In their order: of a scalar flag that comes twice the last one counts.
        "args": [arg for arg in container.get("args") or () if arg not in implied],
        "env": _environment(container.get("env") or ()),
        "resources": {
            kind: {name: canonical(str(amount)) for name, amount in (amounts or {}).items()}
            for kind, amounts in (container.get("resources") or {}).items()
        },
    }
    return result | {kind: _probe(container.get(kind) or {}) if kind in probes else {} for kind in _PROBES}


def full_name(image: str) -> str:
    """The reference with registry and namespace, as the container runtime understands it."""
    first, slash, rest = image.partition("/")
    if not slash or not ("." in first or ":" in first or first == "localhost"):
        first, rest = "docker.io", image if slash else f"library/{image}"
    return f"{'docker.io' if first == 'index.docker.io' else first}/{rest}"


def _environment(entries: Any) -> list[tuple[str, str]]:
    values = {entry["name"]: entry.get("value") or "" for entry in entries}
    if _PROXIES.isdisjoint(name.upper() for name, value in values.items() if value):
        values = {name: value for name, value in values.items() if name.upper() != "NO_PROXY"}
    return sorted(values.items())


def _probe(probe: Mapping[str, Any]) -> dict[str, Any]:
    command = (probe.get("exec") or {}).get("command")
    if not command:
        return dict(probe)
    return {**probe, "exec": {"command": [word.replace("?exclude=etcd", "") for word in command]}}


def _without_zeros(value: Any) -> Any:
    if isinstance(value, Mapping):
        inner = {key: _without_zeros(each) for key, each in value.items()}
        # `in` compares by value, so False goes with 0: they are the zero values that Go leaves out.
        return {key: each for key, each in inner.items() if each not in (None, "", 0, {}, [])}
    return [_without_zeros(each) for each in value] if isinstance(value, list) else value
