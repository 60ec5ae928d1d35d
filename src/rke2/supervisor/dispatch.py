"""One request on port 9345, from its head to its answer: which route, who asks, what goes wrong.

What is checked in which order is the protocol's business: a path that is in no route asks for no credentials, a method
that is not the route's is told only to those who may ask.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from http import HTTPStatus
from ipaddress import ip_address
from typing import Any

from aiohttp import web

from rke2.supervisor import delegated
from rke2.supervisor.api.unserved import unmatched
from rke2.supervisor.authentication import Authenticator, Identity, offers_credentials, parse_bearer
from rke2.supervisor.calls import Call, peer_address
from rke2.supervisor.connections import ClientConnection
from rke2.supervisor.core import CoreSlot
from rke2.supervisor.failed_logins import FailedLogins
from rke2.supervisor.inflight import InFlight
from rke2.supervisor.refusals import Refusals
from rke2.supervisor.routes import DELEGATED, REQUEST_SECONDS, Route, RouteTable, canonical, program_of
from rke2.supervisor.status import StatusError, internal, unavailable
from rke2.supervisor.unauthenticated import client_of

log = logging.getLogger(__name__)

_REFUSALS = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})
_STALE_TOKEN = (
    '299 - "token is not valid any more, this node was recognized by its certificate. Before that ends set token to '
    'what is in /var/lib/rancher/rke2/server/agent-token on a server"'
)
"""Nodes of RKE2, too, log what comes in such a header."""


class Dispatcher:
    """Answers requests from the route table.

    Args:
        routes: paths, who may ask, and what answers.
        authenticator: tells who asks.
        failed_logins: slow down who guesses.
        core: empty until the Kubernetes API answers.
        runs_apiserver: whether this server has an API server.
        on_host: gets each IP address by which a client says that it has come (``Host``), before it is answered.
    """

    def __init__(
        self,
        routes: RouteTable,
        authenticator: Authenticator,
        failed_logins: FailedLogins,
        core: CoreSlot,
        *,
        runs_apiserver: bool,
        on_host: Callable[[str], None],
    ) -> None:
        self._routes, self._authenticator, self._failed_logins = routes, authenticator, failed_logins
        self._core, self._runs_apiserver, self._on_host = core, runs_apiserver, on_host
        self._refusals, self._in_flight = Refusals(), InFlight()
        self._lasting: set[asyncio.Task[Any]] = set()

    def cancel_lasting(self) -> None:
        """End the requests without end."""
        for task in self._lasting:
            task.cancel()

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """The answer to `request`."""
        connection = request.protocol
        assert isinstance(connection, ClientConnection)
        connection.began()
        try:
            return await self._guarded(request, connection)
        finally:
            connection.answered()

    async def _guarded(self, request: web.BaseRequest, connection: ClientConnection) -> web.StreamResponse:
        """The answer; whatever goes wrong becomes a Status."""
        try:
            return await self._answer(request, connection)
        except StatusError as error:
            self._note_refusal(request, error)
            return error.response()
        # What aiohttp raises by itself, such as 400 for a websocket request that lacks its headers.
        except web.HTTPException as error:
            return StatusError(HTTPStatus(error.status), error.text or error.reason).response()
        except TimeoutError:
            log.warning("%s %s from %s took too long", request.method, request.raw_path, request.remote)
            return unavailable("timeout").response()
        except ConnectionError:
            raise  # the client's; aiohttp knows what to do
        except Exception as error:  # noqa: BLE001 - also a fault of ours is answered as a Status, and logged
            return internal("supervisor", error).response()

    async def _answer(self, request: web.BaseRequest, connection: ClientConnection) -> web.StreamResponse:
        self._note_host(request)
        route = self._routes.find(request.method, request.path)
        if route is None:
            ready = self._core.current is not None
            raise unmatched(request.path, runs_apiserver=self._runs_apiserver, ready=ready)
        # The route's own limit may be an hour: whoever has shown nothing yet is not given that.
        async with asyncio.timeout(REQUEST_SECONDS):
            identity = await self._authorize(route, request, connection)
        # Not earlier: who shows nothing valid keeps its place among the unauthenticated, however many public answers it
        # fetches.
        if identity:
            connection.proven()
        if route.methods and request.method not in route.methods:
            raise StatusError(HTTPStatus.METHOD_NOT_ALLOWED, f"{request.method} is not allowed")
        call = Call(request, canonical(request.path), identity, program_of(request.path))
        response = await self._dispatch(route, call)
        if (
            identity
            and identity.node
            and not response.prepared
            and self._authenticator.refuses_password(request)
        ):
            # Only where the head has not been sent yet: a websocket, or a tunnel, has none to add to.
            response.headers["Warning"] = _STALE_TOKEN
        return response

    async def _dispatch(self, route: Route, call: Call) -> web.StreamResponse:
        if route.lasting:
            return await self._last(route, call)
        async with asyncio.timeout(route.seconds):
            if not route.capped:
                return await route.handler(call)
            # The body first: whoever sends one slowly, or never, keeps no place from others.
            call = await call.complete()
            with self._in_flight.request(call.request.method):
                return await route.handler(call)

    async def _last(self, route: Route, call: Call) -> web.StreamResponse:
        """A request without end; `cancel_lasting` ends it."""
        task = asyncio.current_task()
        assert task is not None
        self._lasting.add(task)
        try:
            return await route.handler(call)
        finally:
            self._lasting.discard(task)

    async def _authorize(
        self, route: Route, request: web.BaseRequest, connection: ClientConnection
    ) -> Identity | None:
        if not route.groups or (route.local and _is_local(request)):
            return None
        try:
            if route.groups is DELEGATED:
                return await self._delegated(route, request)
            return await self._authenticator.require(request, route.groups)
        except StatusError as error:
            if error.code == HTTPStatus.UNAUTHORIZED and self._may_be_a_guess(request):
                await self._slow_down(connection, peer_address(request))
            raise

    async def _delegated(self, route: Route, request: web.BaseRequest) -> Identity:
        core = self._core.current
        return await delegated.require(request, route.path, core.client if core else None)

    def _may_be_a_guess(self, request: web.BaseRequest) -> bool:
        """Whether it tried a secret; without the API the right bootstrap token is refused, too."""
        header = request.headers.get("Authorization", "")
        return bool(header) and (self._core.current is not None or parse_bearer(header) is None)

    async def _slow_down(self, connection: ClientConnection, address: str) -> None:
        seconds = self._failed_logins.failed(client_of(address)) if address else 0.0
        if seconds:
            # Before the pause: who hangs up during it would have its place back at once, and could guess on.
            connection.detain(seconds)
            await asyncio.sleep(seconds)

    def _note_refusal(self, request: web.BaseRequest, error: StatusError) -> None:
        """Not those of clients that only look: load balancers ask without credentials whether a server is there."""
        if error.code in _REFUSALS and offers_credentials(request):
            self._refusals.tell(f"{request.method} {request.path}", peer_address(request), error.message)

    def _note_host(self, request: web.BaseRequest) -> None:
        """Tell of the address in Host; browsers are told to come by any name at all."""
        host = _host_address(request.headers.get("Host", ""))
        if host and "mozilla" not in request.headers.get("User-Agent", "").lower():
            self._on_host(host)


def _is_local(request: web.BaseRequest) -> bool:
    return bool(request.remote) and ip_address(str(request.remote)).is_loopback


def _host_address(header: str) -> str:
    """The IP literal in a Host header, empty if it holds a name."""
    host = header[1:].partition("]")[0] if header.startswith("[") else header.rpartition(":")[0] or header
    try:
        return str(ip_address(host if header.count(":") <= 1 or header.startswith("[") else header))
    except ValueError:
        return ""
