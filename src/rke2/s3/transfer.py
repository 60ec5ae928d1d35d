"""Files to and from a bucket: in parts, each tried again, memory for a few chunks only.

A part that arrived stays: after a cut only the parts that were under way are sent again, and a download goes on where
it was.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import IO

from rke2.errors import S3Error
from rke2.host.parallel import for_each
from rke2.s3.body import CHUNK, FilePart
from rke2.s3.client import METADATA, Bucket, Part
from rke2.s3.patience import patiently

log = logging.getLogger(__name__)

PART = 16 << 20
"""Bytes of a part; files that are no longer go in one request."""
MOST_PARTS = 10_000
AT_ONCE = 4
"""Parts under way: a store sums and writes those of one connection one after the other."""
_ABORT_SECONDS = 10.0


async def upload(
    bucket: Bucket, path: Path, key: str, *, content_type: str, metadata: Mapping[str, str]
) -> int:
    """Store the file `path` under `key`; its size in bytes.

    Raises:
        S3Error: it could not be stored; nothing is left of it there.
        OSError: the file cannot be read.
    """
    headers = {"content-type": content_type, **{METADATA + name: value for name, value in metadata.items()}}
    with path.open("rb", buffering=0) as opened:
        file = opened.fileno()
        size = os.fstat(file).st_size
        if size <= PART:
            body = await _read(bucket, file, 0, size)
            await patiently(lambda: bucket.put(key, body, headers))
        else:
            await _in_parts(bucket, file, size, key, headers)
    return size


async def _in_parts(bucket: Bucket, file: int, size: int, key: str, headers: Mapping[str, str]) -> None:
    number = await patiently(lambda: bucket.begin(key, headers))
    try:
        parts = await _send(bucket, key, number, file, size)
        await _complete(bucket, key, number, parts)
    except BaseException:
        # Parts are paid for until somebody removes them. Shielded: a cancelled upload must not leave them, either.
        with suppress(S3Error, TimeoutError):
            async with asyncio.timeout(_ABORT_SECONDS):
                await asyncio.shield(bucket.abort(key, number))
        raise


def part_size(size: int) -> int:
    """Bytes of each part but the last, so that they are not too many: a whole number of MiB."""
    needed = -(-size // MOST_PARTS)
    return max(PART, -(-needed // CHUNK) * CHUNK)


async def _send(bucket: Bucket, key: str, number: str, file: int, size: int) -> list[Part]:
    """Send all parts, a few at once."""
    length = part_size(size)
    parts = [Part()] * -(-size // length)

    async def send(index: int) -> None:
        start = index * length
        body = await _read(bucket, file, start, min(length, size - start))
        parts[index] = await patiently(partial(bucket.put_part, key, number, index + 1, body))

    await for_each(range(len(parts)), send, at_once=AT_ONCE)
    return parts


async def _read(bucket: Bucket, file: int, start: int, size: int) -> FilePart:
    return await asyncio.to_thread(FilePart.read, file, start, size, signed=bucket.signs_content)


async def _complete(bucket: Bucket, key: str, number: str, parts: list[Part]) -> None:
    try:
        await patiently(lambda: bucket.complete(key, number, parts))
    except S3Error as error:
        # The answer of an earlier attempt was lost: the object is there, and the upload is not any more.
        if error.code != "NoSuchUpload":
            raise
        await bucket.metadata(key)


async def give_up_unfinished(bucket: Bucket, prefix: str) -> None:
    """Remove what earlier processes have begun to upload below `prefix`; nothing may be uploading there."""
    for key, number in await bucket.unfinished(prefix):
        log.info("Removing parts of %s, which was never completed", bucket.url(key))
        await bucket.abort(key, number)


async def download(bucket: Bucket, key: str, sink: IO[bytes]) -> None:
    """Write the content of an object to `sink`; after a cut it goes on where it was.

    Raises:
        S3Error: it cannot be read, or was exchanged meanwhile.
        OSError: it cannot be written.
    """
    done, etag = 0, ""

    async def attempt() -> None:
        nonlocal done, etag
        async with bucket.get(key, done, etag) as response:
            etag = response.headers.get("ETag", "").strip('"')
            if done and response.status != HTTPStatus.PARTIAL_CONTENT:
                raise S3Error(f"cannot read {bucket.url(key)} from byte {done} on", "try again")
            async for chunk in response.content.iter_chunked(CHUNK):
                await asyncio.to_thread(sink.write, chunk)
                done += len(chunk)

    await patiently(attempt)
