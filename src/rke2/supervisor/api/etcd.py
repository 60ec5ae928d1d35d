"""``/v1-rke2/etcd`` (ours): which etcd a server runs its data with, and the word to go on with another minor version.

Who may ask has the server token, and with that all keys of the cluster.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

import msgspec
from aiohttp import web

from rke2.errors import HostError
from rke2.etcd.exchange import EtcdExchange, EtcdWish, ExchangeRefusedError
from rke2.supervisor.api.answers import json_response
from rke2.supervisor.calls import Call
from rke2.supervisor.status import StatusError, bad_request


class EtcdHandlers:
    """Answers requests about the program of this server's member.

    Args:
        exchange: None on a server without a member.
    """

    def __init__(self, exchange: EtcdExchange | None) -> None:
        self._exchange = exchange

    async def choice(self, call: Call) -> web.Response:
        """What it runs, and could run."""
        return json_response(msgspec.json.encode(await asyncio.to_thread(self._own().choice)))

    async def exchange(self, call: Call) -> web.Response:
        """Go on with another one; the answer is that it has begun."""
        own, body = self._own(), await call.body()
        try:
            own.go_on_with(msgspec.json.decode(body, type=EtcdWish))
        except msgspec.DecodeError as error:
            raise bad_request(str(error)) from error
        except ExchangeRefusedError as error:
            raise StatusError(HTTPStatus.CONFLICT, str(error)) from error
        except OSError as error:
            fault = HostError.of(error, "which etcd is wanted is not kept")
            raise StatusError(HTTPStatus.INTERNAL_SERVER_ERROR, str(fault)) from error
        return json_response("{}")

    def _own(self) -> EtcdExchange:
        if self._exchange is None:
            raise bad_request("etcd datastore disabled")
        return self._exchange
