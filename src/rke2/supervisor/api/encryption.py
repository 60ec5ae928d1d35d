"""What ``rke2 secrets-encrypt`` asks of a server (supervisor reference §10, day2 reference §6.3).

Which keys encrypt Secrets and whether the servers agree on them, and to exchange them. Servers agree when each of them
has the annotation `ENCRYPTION_HASH` with the same value and this one's is of the file on its disk.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from aiohttp import web

from rke2.config.model import NodeConfig
from rke2.errors import PKIError, RKE2Error
from rke2.kube.objects import Object
from rke2.pki.encryption import CONFIG, keys_of
from rke2.pki.pem import read_file
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.encryption import agreement
from rke2.supervisor.encryption.rotation import Rotation
from rke2.supervisor.encryption.stages import Verb
from rke2.supervisor.status import bad_request, internal, told, unavailable

_COMPONENT = "secret-encrypt"


class EncryptionRequest(msgspec.Struct):
    """The body of ``PUT …/encrypt/config``: a stage, or whether Secrets are to be encrypted at all."""

    stage: str | None = None
    enable: bool | None = None
    force: bool = False
    skip: bool = False

    @property
    def verb(self) -> Verb:
        """What is asked for.

        Raises:
            StatusError: 400, nothing that is known.
        """
        if self.stage is None and self.enable is not None:
            return Verb.ENABLE if self.enable else Verb.DISABLE
        try:
            return Verb(self.stage or "")
        except ValueError:
            raise bad_request(f"unknown stage {self.stage} requested") from None


class EncryptionHandlers:
    """Answers requests about the encryption of Secrets.

    Args:
        config: names this server's Node and the file of the keys.
        core: empty until the Kubernetes API answers.
        rotation: of the keys; None where nothing brings them to other servers.
    """

    def __init__(self, config: NodeConfig, core: CoreSlot, rotation: Rotation | None) -> None:
        self._config, self._core, self._rotation = config, core, rotation

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

    async def exchange(self, call: Call) -> web.Response:
        """Do a step of a rotation, or all of it; what fails is told, too, as it shows no key."""
        if self._core.current is None or self._rotation is None:
            raise unavailable("runtime core not ready")
        try:
            request = msgspec.json.decode(await call.body(), type=EncryptionRequest)
        except msgspec.DecodeError as error:
            raise bad_request(str(error)) from error
        verb = request.verb
        try:
            await self._rotation.request(verb, force=request.force, skip=request.skip)
        except (RKE2Error, OSError) as error:
            raise told(_COMPONENT, error, HTTPStatus.BAD_REQUEST) from error
        return web.Response()


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
    keys, hashes = keys_of(content), agreement.hashes(nodes)
    stage, problem = agreement.stage(hashes, own), agreement.disagreement(content, hashes, own)
    return {
        "stage": stage,
        "activekey": keys.active,
        "enable": keys.enabled,
        **({"hasherror": problem} if problem else {"hashmatch": True}),
        **({"inactivekeys": list(keys.inactive)} if keys.inactive else {}),
    }
