"""Which kinds the API serves, and where: asked per group version on first use and remembered.

A kind that is missing from a remembered group version is asked for again, since its CRD may have come since.
"""

from __future__ import annotations

from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.objects import GVK
from rke2.kube.resources import Resource, root


class NotServedError(KubeError):
    """The API has no such kind (yet): its CRD is missing or was created a moment ago."""

    def __init__(self, gvk: GVK) -> None:
        super().__init__(
            f"the API serves no kind {gvk.kind} in {gvk.api_version}",
            "apply the CustomResourceDefinition that defines it",
            status=404,
            reason="NotServed",
        )


class Discovery:
    """Looks up the `Resource` of a kind.

    Args:
        client: asked with GET on ``/api/v1`` and ``/apis/<group>/<version>``.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._known: dict[GVK, Resource] = {}

    async def resource(self, gvk: GVK) -> Resource:
        """Raises NotServedError if there is no such kind, KubeError if the API cannot tell."""
        if gvk not in self._known:
            self._known.update(await self._ask(gvk))
        try:
            return self._known[gvk]
        except KeyError:
            # Nothing is remembered of a kind that is missing: its CRD may be established the next moment.
            raise NotServedError(gvk) from None

    async def serves(self, gvk: GVK) -> bool:
        """Raises KubeError if the API cannot tell."""
        try:
            await self.resource(gvk)
        except NotServedError:
            return False
        return True

    def forget(self, gvk: GVK) -> None:
        """Ask again next time: the API answered 404 where this kind was said to be."""
        self._known.pop(gvk, None)

    async def _ask(self, gvk: GVK) -> dict[GVK, Resource]:
        try:
            answer = await self._client.request("GET", root(gvk))
        except KubeError as error:
            if error.status == 404:
                raise NotServedError(gvk) from error
            raise
        return {
            found: Resource(found, entry["name"], bool(entry["namespaced"]))
            for entry in answer.get("resources") or []
            # Subresources are listed with the kind they take: deployments/scale
            # would be where Scale objects are.
            if "/" not in entry["name"]
            for found in [GVK(gvk.group, gvk.version, entry["kind"])]
        }
