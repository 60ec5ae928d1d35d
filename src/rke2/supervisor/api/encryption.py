"""What ``rke2 secrets-encrypt status`` asks of a server: which keys encrypt Secrets, and whether the servers agree.

Mirrors the supervisor reference §10.2. Servers agree when each of them has the annotation `ENCRYPTION_HASH` with the
same value and this one's is of the file on its disk; a server without the annotation is skipped, as RKE2 skips it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from rke2.config.model import NodeConfig
from rke2.errors import PKIError
from rke2.kube.nodes import CONTROL_PLANE_ROLE, ENCRYPTION_HASH
from rke2.kube.objects import Object, annotations_of, labels_of, name_of
from rke2.pki.encryption import CONFIG, encryption_state, keys_of
from rke2.pki.pem import read_file
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.status import internal

_COMPONENT = "secret-encrypt"


class EncryptionHandlers:
    """Answers requests about the encryption of Secrets.

    Args:
        config: names this server's Node and the file of the keys.
        core: empty until the Kubernetes API answers.
    """

    def __init__(self, config: NodeConfig, core: CoreSlot) -> None:
        self._config, self._core = config, core

    async def status(self, call: Call) -> web.Response:
        """The state of encryption; 500 with a number until the Kubernetes API tells of this server's Node."""
        core = self._core.current
        try:
            if core is None:
                raise PKIError("runtime core not ready")
            content = await asyncio.to_thread(read_file, self._config.paths.cred / CONFIG)
            state = encryption_status(content, core.nodes.objects.values(), self._config.node.name)
        except (OSError, ValueError, PKIError) as error:
            raise internal(_COMPONENT, error) from error
        return json_response(json.dumps(state))


def encryption_status(content: bytes | None, nodes: Iterable[Object], own: str) -> dict[str, Any]:
    """The answer: what there is to say, under RKE2's keys.

    Args:
        content: of ``encryption-config.json``; None where there is none.
        nodes: all of the cluster's.
        own: name of this server's Node.

    Raises:
        PKIError: the own Node has no usable annotation.
        ValueError: `content` is not an EncryptionConfiguration.
    """
    if content is None:
        return {"stage": "", "activekey": ""}
    keys, hashes = keys_of(content), _hashes(nodes)
    stage, problem = _stage(hashes, own), _disagreement(content, hashes, own)
    return {
        "stage": stage,
        "activekey": keys.active,
        "enable": keys.enabled,
        **({"hasherror": problem} if problem else {"hashmatch": True}),
        **({"inactivekeys": list(keys.inactive)} if keys.inactive else {}),
    }


def _hashes(nodes: Iterable[Object]) -> dict[str, str]:
    """Name -> annotation, of the servers that have one."""
    servers = (node for node in nodes if CONTROL_PLANE_ROLE in labels_of(node))
    found = {name_of(node): annotations_of(node).get(ENCRYPTION_HASH, "") for node in servers}
    return {name: value for name, value in sorted(found.items()) if value}


def _stage(hashes: dict[str, str], own: str) -> str:
    if own not in hashes:
        raise PKIError(f"missing annotation on node {own}")
    stage, dash, digest = hashes[own].partition("-")
    if not (dash and digest):
        raise PKIError(f"invalid annotation {hashes[own]} found on node {own}")
    return stage


def _disagreement(content: bytes, hashes: dict[str, str], own: str) -> str:
    """Why the servers' configurations are not the same, in RKE2's words; empty if they are."""
    other = next((name for name, value in hashes.items() if value != hashes[own]), "")
    if other:
        return f"hash does not match between {own} and {other}"
    stage, _, digest = hashes[own].partition("-")
    if encryption_state(stage, content) != hashes[own]:
        return f"invalid hash: {digest} found on node {own}"
    return ""
