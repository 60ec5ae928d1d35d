"""Whether the servers have the same keys, as their Nodes' annotations say it (day2 reference §6.3)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from rke2.errors import PKIError
from rke2.kube.nodes import CONTROL_PLANE_ROLE, ENCRYPTION_HASH
from rke2.kube.objects import Object, annotations_of, labels_of, name_of
from rke2.pki.encryption import encryption_state

_FIRST_WITH_ROTATE_KEYS = (1, 28)
_VERSION = re.compile(r"v(\d+)\.(\d+)\.")


def servers(nodes: Iterable[Object]) -> list[Object]:
    """The Nodes with an API server, by name; one without the annotation is skipped, as RKE2 skips it."""
    found = [
        node
        for node in nodes
        if CONTROL_PLANE_ROLE in labels_of(node) and annotations_of(node).get(ENCRYPTION_HASH)
    ]
    return sorted(found, key=name_of)


def hashes(nodes: Iterable[Object]) -> dict[str, str]:
    """Name -> annotation, of the servers that have one."""
    return {name_of(node): annotations_of(node)[ENCRYPTION_HASH] for node in servers(nodes)}


def stage(found: dict[str, str], own: str) -> str:
    """The stage that the own Node tells of.

    Raises:
        PKIError: it has no usable annotation.
    """
    if own not in found:
        raise PKIError(f"missing annotation on node {own}")
    name, dash, digest = found[own].partition("-")
    if not (dash and digest):
        raise PKIError(f"invalid annotation {found[own]} found on node {own}")
    return name


def disagreement(content: bytes, found: dict[str, str], own: str) -> str:
    """Why the servers' configurations are not the same, in RKE2's words; empty if they are."""
    other = next((name for name, value in found.items() if value != found[own]), "")
    if other:
        return f"hash does not match between {own} and {other}"
    name, _, digest = found[own].partition("-")
    if encryption_state(name, content) != found[own]:
        return f"invalid hash: {digest} found on node {own}"
    return ""


def require_agreement(content: bytes, nodes: Iterable[Object], own: str) -> None:
    """See that all servers have the keys in `content`.

    Raises:
        PKIError: one has not.
    """
    found = hashes(nodes)
    stage(found, own)
    if problem := disagreement(content, found, own):
        raise PKIError(
            problem, "see `rke2 secrets-encrypt status`; a server takes new keys over within seconds"
        )


def require_rotate_keys(nodes: Iterable[Object]) -> None:
    """See that every server's release knows ``rotate-keys``.

    Raises:
        PKIError: one does not.
    """
    for node in servers(nodes):
        version = str(((node.get("status") or {}).get("nodeInfo") or {}).get("kubeletVersion") or "")
        match = _VERSION.match(version)
        if match and (int(match[1]), int(match[2])) < _FIRST_WITH_ROTATE_KEYS:
            raise PKIError(
                # "k3s" is RKE2's wording.
                f"node {name_of(node)} is running k3s version {version} that does not support rotate-keys"
            )
