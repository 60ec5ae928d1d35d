"""``PUT /v1-rke2/token``: ``rke2 token rotate``, and what servers tell each other then (day2 reference §7)."""

from __future__ import annotations

import msgspec
from aiohttp import web

from rke2.errors import RKE2Error
from rke2.supervisor.calls import Call
from rke2.supervisor.status import bad_request, internal, unavailable
from rke2.supervisor.token_rotation import TokenRotation

_COMPONENT = "token"


class TokenRequest(msgspec.Struct, rename="camel"):
    """The body; ``adopt`` is ours: a server tells another one of a token that is in etcd already."""

    new_token: str = ""
    adopt: bool = False


class TokenHandlers:
    """Answers who has the server token.

    Args:
        rotation: None where nothing brings a token to other servers.
    """

    def __init__(self, rotation: TokenRotation | None) -> None:
        self._rotation = rotation

    async def rotate(self, call: Call) -> web.Response:
        """Exchange the server token; who has not taken it over is named in a warning."""
        if self._rotation is None:
            raise unavailable("runtime core not ready")
        try:
            request = msgspec.json.decode(await call.body(), type=TokenRequest)
        except msgspec.DecodeError as error:
            raise bad_request(str(error)) from error
        try:
            if request.adopt:
                await self._rotation.adopt(request.new_token)
                return web.Response()
            missing = await self._rotation.rotate(request.new_token)
        except (RKE2Error, OSError) as error:
            raise internal(_COMPONENT, error) from error
        return web.Response(headers={"Warning": f'299 - "{_warning(missing)}"'} if missing else None)


def _warning(missing: list[str]) -> str:
    return f"these servers have not taken the new token over, restart them with it: {', '.join(missing)}"
