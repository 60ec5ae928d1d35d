"""Ending connections of asyncio."""

from __future__ import annotations

import asyncio


def abort(transport: asyncio.BaseTransport | None) -> None:
    """End a connection at once; what was written may be lost. Does nothing to one that has been closed.

    asyncio before Python 3.11.3 (Debian 12 has 3.11.2) forgets what a TLS transport stands on when it is closed a
    second time, and raises AttributeError from the ``abort()`` that follows.
    """
    if transport is None or getattr(transport, "_ssl_protocol", transport) is None:
        return
    assert isinstance(transport, asyncio.WriteTransport)
    transport.abort()
