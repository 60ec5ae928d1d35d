"""The client: requests to the Kubernetes API with typed errors, for unstructured objects.

One `Client` owns one connection pool; `named` gives views of it whose requests carry another component's name
(the user agent ``<component>@<node>``, which the API server also records as field manager).
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp
import msgspec

from rke2.errors import KubeError
from rke2.host.unreachable import reason_of
from rke2.kube.backoff import Backoff
from rke2.kube.checks import gist
from rke2.kube.kubeconfig import ApiCredentials
from rke2.kube.objects import Object, key_of
from rke2.kube.resources import Resource

REQUEST_SECONDS = 30.0
PAGE_SIZE = 500
BUSY_ATTEMPTS = 8
CONFLICT_ATTEMPTS = 8
JSON = "application/json"
METADATA = "application/json;as={};g=meta.k8s.io;v=v1"


class PatchType(StrEnum):
    """Content types of PATCH."""

    JSON = "application/json-patch+json"
    MERGE = "application/merge-patch+json"
    STRATEGIC = "application/strategic-merge-patch+json"
    APPLY = "application/apply-patch+yaml"


class Page(NamedTuple):
    """A complete list and the resource version to watch from."""

    items: list[Object]
    resource_version: str


class Client:
    """A client of the API server a kubeconfig names.

    Every method raises `KubeError`; its `status` is the HTTP status, or 0 when no answer came (reason
    ``Unreachable``). A 404 with reason ``NotServed`` means that the API has no such path at all.

    Args:
        kubeconfig: file with the server's URL and credentials.
        component: who asks; becomes the user agent.
        node: name of this node, part of the user agent.
    """

    def __init__(self, kubeconfig: Path, component: str = "rke2", node: str = "") -> None:
        self._credentials = ApiCredentials(kubeconfig)
        self._node = node
        self._agent = f"{component}@{node}" if node else component
        self._server = ""
        self._session = aiohttp.ClientSession(
            # No limit: every watch keeps a connection for minutes, and a hundred of them would leave none for requests.
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=REQUEST_SECONDS, sock_connect=5),
            # aiohttp reads NO_PROXY otherwise than Go (networks, 127.0.0.1) and might ask a proxy for the API server.
            trust_env=False,
        )

    def named(self, component: str) -> Client:
        """A view of this client, on the same connections, for another component."""
        # Shallow on purpose: views share session and credentials. To close one would close all of them.
        view = copy.copy(self)
        view._agent = f"{component}@{self._node}" if self._node else component
        return view

    def at(self, server: str) -> Client:
        """A view of this client, with the same credentials, for the API server at the URL `server`."""
        view = copy.copy(self)
        view._server = server
        return view

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # --- reading -------------------------------------------------------------------------------
    async def get(self, resource: Resource, name: str, namespace: str = "") -> Object:
        return await self.request("GET", resource.path(namespace, name))

    async def find(self, resource: Resource, name: str, namespace: str = "") -> Object | None:
        """Like `get`, with None for an object that is not there."""
        try:
            return await self.get(resource, name, namespace)
        except KubeError as error:
            # Not `NotServed`: a CRD that is missing must not look like an object that is missing.
            if error.status == 404 and error.reason == "NotFound":
                return None
            raise

    async def list(
        self,
        resource: Resource,
        namespace: str = "",
        *,
        label_selector: str = "",
        field_selector: str = "",
        metadata_only: bool = False,
    ) -> Page:
        """All objects of a kind, fetched in pages.

        Args:
            metadata_only: ask for PartialObjectMetadata (no spec, data or status).
        """
        accept = METADATA.format("PartialObjectMetadataList") if metadata_only else JSON
        query = {"limit": str(PAGE_SIZE), **selectors(label_selector, field_selector)}
        items: list[Object] = []
        while True:
            page = await self.request("GET", resource.path(namespace), query=query, accept=accept)
            items += page.get("items") or []
            meta = page.get("metadata") or {}
            if not meta.get("continue"):
                break
            query["continue"] = meta["continue"]
        for item in items:
            # The API leaves both out of the items of a list; what is kept or applied from here needs them.
            item.update(apiVersion=resource.gvk.api_version, kind=resource.gvk.kind)
        # All pages are of the version of the first: a watch from here misses
        # nothing that came while they were read.
        return Page(items, str(meta.get("resourceVersion", "")))

    async def raw(self, path: str) -> str:
        """The text a path such as ``/readyz`` answers with; an error status raises."""
        async with self.connect("GET", path) as response:
            return await response.text()

    # --- writing -------------------------------------------------------------------------------
    async def create(self, resource: Resource, obj: Object) -> Object:
        return await self.request("POST", resource.path(key_of(obj).namespace), body=obj)

    async def create_custom(self, resource: Resource, obj: Object) -> Object:
        """Create a custom resource (by server-side apply: one that is there already may be changed instead).

        The API server delays every POST of a kind whose CRD was established less than two seconds ago by two
        seconds; it does not delay this.
        """
        return await self.apply(resource, obj, manager=self._agent)

    async def update(self, resource: Resource, obj: Object, subresource: str = "") -> Object:
        """Replace an object; its resourceVersion, if present, must still be current."""
        return await self.request("PUT", resource.path(*key_of(obj), subresource), body=obj)

    async def patch(
        self,
        resource: Resource,
        name: str,
        patch: Any,
        kind: PatchType = PatchType.MERGE,
        *,
        namespace: str = "",
        subresource: str = "",
        metadata_only: bool = False,
    ) -> Object:
        """Change an object, whatever its version is.

        The API server applies a patch to the version it has read and answers 409 when others were faster five times
        in a row, as on a Node that the kubelet, a cloud controller and servers write at the same time. It means what
        it meant before, so it is sent again. A patch that names a version is refused for good.

        Args:
            metadata_only: be answered with PartialObjectMetadata (no spec, data or status).
        """
        accept = METADATA.format("PartialObjectMetadata") if metadata_only else JSON
        path = resource.path(namespace, name, subresource)
        pauses = Backoff(0.05, 0.5)
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                return await self.request("PATCH", path, body=patch, content_type=kind, accept=accept)
            except KubeError as error:
                last = attempt == CONFLICT_ATTEMPTS - 1
                # With a version in it, 409 is what the caller wants to know: what
                # it was computed from has changed.
                if error.status != 409 or last or _names_a_version(patch):
                    raise
            await pauses.sleep()
        raise AssertionError("unreachable")

    async def apply(self, resource: Resource, obj: Object, *, manager: str, force: bool = False) -> Object:
        """Server-side apply of the fields in `obj` as field manager `manager`."""
        query = {"fieldManager": manager, "force": str(force).lower()}
        path = resource.path(*key_of(obj))
        return await self.request("PATCH", path, body=obj, content_type=PatchType.APPLY, query=query)

    async def delete(
        self,
        resource: Resource,
        name: str,
        namespace: str = "",
        *,
        propagation: str = "Background",
        uid: str = "",
    ) -> bool:
        """Delete an object.

        Args:
            propagation: ``Background``, ``Foreground`` or ``Orphan``.
            uid: delete only if the object still has this uid.

        Returns:
            False if it was not there.
        """
        options: dict[str, Any] = {"propagationPolicy": propagation}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            await self.request("DELETE", resource.path(namespace, name), body=options)
        except KubeError as error:
            if error.status == 404:
                return False
            raise
        return True

    # --- transport -----------------------------------------------------------------------------
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
    ) -> Object:
        """Send a request and decode the JSON answer; one answered 429 is sent again for about a second.

        (A kind whose CRD is new answers that while its storage is being initialized.)
        """
        pauses = Backoff(0.02, 0.3)
        for attempt in range(BUSY_ATTEMPTS):
            try:
                async with self.connect(
                    method, path, query=query, body=body, content_type=content_type, accept=accept
                ) as response:
                    content = await response.read()
            except KubeError as error:
                # Only 429: any other failure of a POST may have come after the object was created.
                if error.status != 429 or attempt == BUSY_ATTEMPTS - 1:
                    raise
                await pauses.sleep()
            else:
                break
        answer: Object = msgspec.json.decode(content)
        return answer

    def connect(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        content_type: str = JSON,
        accept: str = JSON,
        timeout: aiohttp.ClientTimeout | None = None,
    ) -> _Exchange:
        """An open response as an async context manager; transport errors inside become `KubeError`."""
        # Asked for each request: the file is rewritten when its certificate is renewed, while this process runs.
        server, context, token = self._credentials.current()
        server = self._server or server
        headers = {"Accept": accept, "User-Agent": self._agent}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        if body is not None:
            headers["Content-Type"] = content_type
        request = self._session.request(
            method,
            server + path,
            params=query,
            data=None if body is None else msgspec.json.encode(body),
            headers=headers,
            ssl=context if context is not None else True,
            timeout=timeout or self._session.timeout,
            allow_redirects=False,
        )
        return _Exchange(request, f"{method} {server}{path}")


class _Exchange:
    """One request and its response; turns what goes wrong into `KubeError`."""

    def __init__(self, request: Any, what: str) -> None:
        self._request = request
        self._what = what

    async def __aenter__(self) -> aiohttp.ClientResponse:
        try:
            response: aiohttp.ClientResponse = await self._request.__aenter__()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise self._unreachable(error) from error
        if response.status < 300:
            return response
        # The API redirects nothing that is asked of it here. What it passes on of an aggregated API's server
        # must not lead these credentials to another place.
        try:
            content = await response.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            content = b""
        finally:
            # `__aexit__` is not called when this raises; without it the connection would never go back to the pool.
            response.release()
        raise _refusal(self._what, response.status, content)

    async def __aexit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        await self._request.__aexit__(kind, error, trace)
        # Not every OSError: callers work inside the block, and their own files may fail.
        if isinstance(error, aiohttp.ClientError | ConnectionError | TimeoutError):
            raise self._unreachable(error) from error

    def _unreachable(self, error: BaseException) -> KubeError:
        return KubeError(f"{self._what}: {reason_of(error)}", reason="Unreachable")


def _names_a_version(patch: Any) -> bool:
    meta = patch.get("metadata") if isinstance(patch, dict) else None
    return isinstance(meta, dict) and bool(meta.get("resourceVersion"))


def _refusal(what: str, status: int, content: bytes) -> KubeError:
    """The error an answer with an HTTP error status stands for."""
    try:
        answer = msgspec.json.decode(content)
    except msgspec.DecodeError:
        answer = None
    if not isinstance(answer, dict) or answer.get("kind") != "Status":
        return KubeError(
            f"{what}: {status} {gist(content.decode(errors='replace'))}",
            status=status,
            reason="NotServed" if status == 404 else "",
        )
    reason = str(answer.get("reason") or "")
    return KubeError(f"{what}: {answer.get('message') or reason}", status=status, reason=reason)


def selectors(labels: str, fields: str) -> dict[str, str]:
    """Query parameters of the selectors that are not empty."""
    pairs = {"labelSelector": labels, "fieldSelector": fields}
    return {key: value for key, value in pairs.items() if value}
