"""One connection to one etcd endpoint, over gRPC.

The only module that needs grpcio; it is imported when the first request is made.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # it writes failed handshakes to stderr otherwise

import grpc
import grpc.aio
import grpc.experimental

from rke2.errors import EtcdError
from rke2.etcd import protobuf

M = TypeVar("M")

_OPTIONS = (
    # The times of RKE2's client (supervisor reference §7.6). etcd ends connections that are pinged more often
    # than every five seconds, or while no request is under way.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.keepalive_permit_without_calls", 0),
    ("grpc.enable_http_proxy", 0),  # members are never behind the proxy that the environment names
    # Seconds an attempt to connect may take (the dial timeout), then the pause before the next one.
    ("grpc.min_reconnect_backoff_ms", 2_000),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1_000),
)

_OF_STREAMS = (
    # Who reads polls, too: a thread of gRPC's own would have to be waited for with each message.
    (grpc.experimental.ChannelOptions.SingleThreadedUnaryStream, 1),
    # What may be under way: gRPC would raise it to tens of MiB where the reader is a disk.
    ("grpc.http2.bdp_probe", 0),
    ("grpc.http2.lookahead_bytes", 8 << 20),
)
_BATCH_BYTES = 1 << 20
_BATCH_SECONDS = 1.0
"""What is read at once, at most."""

_NEVER_SENT = ("failed to connect", "DNS resolution failed")
"""What gRPC says of a request that had no connection to go over."""


@dataclass(frozen=True)
class EtcdCredentials:
    """Files of the client's certificate, its key and the CA of etcd's servers."""

    certificate: Path
    key: Path
    ca: Path

    def read(self) -> grpc.ChannelCredentials:
        try:
            contents = [path.read_bytes() for path in (self.ca, self.key, self.certificate)]
        except OSError as error:
            raise EtcdError(f"{error.filename}: {error.strerror}", code="UNAUTHENTICATED") from error
        return grpc.ssl_channel_credentials(*contents)


class EtcdRequestError(EtcdError):
    """An `EtcdError` that also knows whether the request may have had its effect.

    Args:
        sent: it may have; False only if it certainly never left this host.
    """

    def __init__(self, message: str, *, code: str, sent: bool) -> None:
        super().__init__(message, code=code)
        self.sent = sent


class EtcdConnection:
    """A channel to the member at `endpoint` (``https://host:port``); it connects again by itself."""

    def __init__(self, endpoint: str, credentials: EtcdCredentials) -> None:
        self.endpoint = endpoint
        self._target, self._credentials = urlsplit(endpoint).netloc, credentials
        # Connects to nothing yet: a member that is down is found out
        # by the first request, within that one's limit.
        self._channel = grpc.aio.secure_channel(self._target, credentials.read(), options=_OPTIONS)
        self._methods: dict[str, Any] = {}

    async def call(self, method: str, request: Any, answer: type[M], timeout: float) -> M:
        """Send `request` to ``/etcdserverpb.<method>``.

        Raises:
            EtcdRequestError: the member refused it, or did not answer within `timeout` seconds.
        """
        if method not in self._methods:
            self._methods[method] = self._channel.unary_unary(f"/etcdserverpb.{method}")
        try:
            # Without wait_for_ready: a member that is down fails at once,
            # and there is time left to ask another one.
            data: bytes = await self._methods[method](protobuf.encode(request), timeout=timeout)
            return protobuf.decode(answer, data)
        except grpc.aio.AioRpcError as error:
            raise self._error(method, error, timeout) from error
        except protobuf.DecodeError as error:
            text = f"etcd at {self.endpoint}: {method}: answer cannot be understood: {error}"
            raise EtcdRequestError(text, code="INTERNAL", sent=True) from error

    async def stream(self, method: str, request: Any, answer: type[M], silence: float) -> AsyncIterator[M]:
        """The messages with which ``/etcdserverpb.<method>`` answers `request`, as they come.

        A thread reads them, a MiB at a time, over a channel of their own: a snapshot has thousands, and with a turn of
        the event loop for each it took twice as long.

        Raises:
            EtcdRequestError: the member refused it, broke off, or sent nothing for `silence` seconds.
        """
        channel = grpc.secure_channel(
            self._target, self._credentials.read(), options=(*_OPTIONS, *_OF_STREAMS)
        )
        call = channel.unary_stream(f"/etcdserverpb.{method}")(protobuf.encode(request))
        try:
            while True:
                # Around the read alone: what the caller does with a part,
                # such as writing it to a disk, is no silence of etcd.
                async with asyncio.timeout(silence):
                    batch = await asyncio.to_thread(_batch, call)
                if not batch:
                    return
                for data in batch:
                    yield protobuf.decode(answer, data)
        except grpc.RpcError as error:
            raise self._error(method, error, silence) from error
        except TimeoutError as error:
            text = f"etcd at {self.endpoint}: {method}: nothing came for {silence:g} s"
            raise EtcdRequestError(text, code="DEADLINE_EXCEEDED", sent=True) from error
        except protobuf.DecodeError as error:
            text = f"etcd at {self.endpoint}: {method}: answer cannot be understood: {error}"
            raise EtcdRequestError(text, code="INTERNAL", sent=True) from error
        finally:
            # Whoever stops early would leave a request behind, for which etcd goes on reading its database,
            # and a thread that waits for it.
            call.cancel()
            channel.close()

    def _error(self, method: str, error: grpc.RpcError, timeout: float) -> EtcdRequestError:
        code, details = error.code(), error.details() or ""
        # Only the text tells: gRPC has UNAVAILABLE for what never
        # left this host and for what broke off afterwards.
        sent = not any(words in details for words in _NEVER_SENT)
        if not sent:
            details = f"cannot connect: {details.rpartition('last error: ')[2]}"
        elif code is grpc.StatusCode.DEADLINE_EXCEEDED:
            details = f"no answer to {method} within {timeout:g} s"
        return EtcdRequestError(f"etcd at {self.endpoint}: {details or code.name}", code=code.name, sent=sent)

    async def close(self) -> None:
        await self._channel.close()


def _batch(call: Iterator[bytes]) -> list[bytes]:
    """The next messages, none at the end; waits for one, and then for as many as come soon."""
    found, size, until = list[bytes](), 0, time.monotonic() + _BATCH_SECONDS
    for data in call:
        found.append(data)
        size += len(data)
        if size >= _BATCH_BYTES or time.monotonic() > until:
            break
    return found
