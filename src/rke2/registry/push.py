"""Blobs and manifests into a registry."""

from __future__ import annotations

from collections.abc import AsyncIterable

from rke2.errors import RegistryError
from rke2.registry.connection import RegistryConnection
from rke2.registry.manifest import MANIFEST_TYPES
from rke2.registry.origin import Origin, location

ACTIONS = "pull,push"
"""What a token has to allow."""

_OCTETS = {"Content-Type": "application/octet-stream"}


class Pusher:
    """Writes to the registry of `connection`, which was made with `ACTIONS`."""

    def __init__(self, connection: RegistryConnection) -> None:
        self._connection = connection

    async def has(self, repository: str, digest: str) -> bool:
        """Whether the registry holds a blob already."""
        try:
            async with self._connection.request("HEAD", repository, f"blobs/{digest}", what=digest):
                return True
        except RegistryError as error:
            if "does not have" in error.message:
                return False
            raise

    async def blob(self, repository: str, digest: str, size: int, content: AsyncIterable[bytes]) -> None:
        """Write one blob of `size` bytes.

        Raises:
            RegistryError: the registry does not take it.
        """
        what = f"an upload to {repository}"
        async with self._connection.request("POST", repository, "blobs/uploads/", what=what) as response:
            place = self._upload(str(response.url), response.headers.get("Location", ""))
        url = f"{place}{'&' if '?' in place else '?'}digest={digest}"
        headers = {**_OCTETS, "Content-Length": str(size)}
        async with self._connection.request("PUT", repository, url, what=what, headers=headers, data=content):
            pass

    def _upload(self, asked: str, header: str) -> str:
        """Where the content is to be sent. The address alone lets one write to the upload, so not in the clear."""
        registry = self._connection.source.url
        place = location(asked, header, registry)
        if (Origin.of(asked).scheme, Origin.of(place).scheme) == ("https", "http"):
            raise RegistryError(
                f"registry {registry} wants uploads sent without TLS, to {Origin.of(place).url}",
                "correct the registry's own address (its `http.host`; `X-Forwarded-Proto` of a proxy before it)",
            )
        return place

    async def mount(self, repository: str, digest: str, owner: str) -> None:
        """Have `repository` share a blob that `owner` holds at the same registry.

        Raises:
            RegistryError: the registry does not share.
        """
        what, rest = f"blob {digest} of {owner}", f"blobs/uploads/?mount={digest}&from={owner}"
        async with self._connection.request("POST", repository, rest, what=what) as response:
            if response.status != 201:
                raise RegistryError(f"registry {self._connection.source.url} does not share {what}")

    async def manifest(
        self, repository: str, target: str, content: bytes, media_type: str = MANIFEST_TYPES[1]
    ) -> None:
        """Write a manifest under a tag or its digest; what it names must be there.

        Raises:
            RegistryError: the registry does not take it.
        """
        what, headers = f"{repository}:{target}", {"Content-Type": media_type}
        async with self._connection.request(
            "PUT", repository, f"manifests/{target}", what=what, headers=headers, data=content
        ):
            pass
