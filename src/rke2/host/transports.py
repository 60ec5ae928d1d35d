"""What asyncio of some Python versions does otherwise with connections than that of others."""

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


def pause_at_the_start(transport: asyncio.Transport) -> None:
    """Read nothing from a new connection, in its ``connection_made``, until somebody resumes reading.

    asyncio of Python 3.11.2, which Debian 12 has, begins to read when ``connection_made`` has returned, paused or not,
    and takes a transport that reads for one that is paused.
    """
    transport.pause_reading()
    # Comes after asyncio's own callback that begins to read, which was called for before ``connection_made``.
    asyncio.get_running_loop().call_soon(_pause_again, transport)


def _pause_again(transport: asyncio.Transport) -> None:
    if transport.is_reading() or transport.is_closing():
        return
    # Without this, a pause is refused as one that is there already.
    transport.resume_reading()
    transport.pause_reading()
