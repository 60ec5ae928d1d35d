"""Applying an object set: create, patch and prune so that the cluster holds exactly the wanted objects.

The patch is computed here as a three-way merge (`rke2.kube.merge`) and sent as a JSON merge patch that only
holds for the resourceVersion it was computed from; a conflict means looking again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from rke2.addons.objectset import APPLIED, Owner, applied_of, is_prunable, marked
from rke2.errors import KubeError
from rke2.kube.client import Client
from rke2.kube.discovery import Discovery
from rke2.kube.merge import is_built_in, merge_patch, three_way_merge
from rke2.kube.objects import GVK, Key, Object, key_of, metadata, namespace_of
from rke2.kube.resources import NAMESPACES, Resource

CONFLICT_ATTEMPTS = 5
PARALLEL = 8
DEFAULT_NAMESPACE = "default"

Existing = dict[Key, Object]
Spare = Callable[[GVK, Key], bool]
"""Whether an object is to stay although its set no longer holds it."""


def _spare_nothing(_gvk: GVK, _key: Key) -> bool:
    return False


class ApplyError(KubeError):
    """Some objects of a set were not applied; the others were.

    Args:
        errors: one per object or kind, in the order they were met.
    """

    def __init__(self, errors: Sequence[KubeError]) -> None:
        first = errors[0]
        super().__init__(
            "; ".join(dict.fromkeys(str(error) for error in errors)), status=first.status, reason=first.reason
        )
        self.errors = tuple(errors)


class EndingError(KubeError):
    """What was to be applied is being deleted, or its namespace is: it will be gone, whatever was written to it."""

    def __init__(self, what: str) -> None:
        super().__init__(
            f"{what} is being deleted; it is applied when that is done", status=409, reason="Ending"
        )


class Applier:
    """Applies object sets."""

    def __init__(self, client: Client, discovery: Discovery) -> None:
        self._client, self._discovery = client, discovery
        self._slots = asyncio.Semaphore(PARALLEL)

    async def apply(
        self,
        owner: Owner,
        objects: Iterable[Object],
        kinds: Iterable[GVK] = (),
        spare: Spare = _spare_nothing,
    ) -> None:
        """Make the set of `owner` consist of `objects`.

        Kinds are handled in the order of their first appearance in `objects`, then the further `kinds`, in which
        there is only something to prune. Whatever goes wrong with one object does not stop the others.

        Raises:
            ApplyError: something was not applied or pruned.
        """
        wanted: dict[GVK, list[Object]] = {}
        for obj in objects:
            wanted.setdefault(GVK.of(obj), []).append(obj)
        order = [*wanted, *sorted(set(kinds) - wanted.keys())]
        errors: list[KubeError] = []
        found = await asyncio.gather(*(self._existing(owner, gvk, errors) for gvk in order))
        for gvk, existing in zip(order, found, strict=True):
            if existing is not None:
                errors += await self._apply_kind(owner, *existing, wanted.get(gvk, []), spare)
        errors += await self._ending(
            {space for group in wanted.values() for obj in group if (space := namespace_of(obj))}
        )
        if errors:
            raise ApplyError(errors)

    async def _ending(self, namespaces: Iterable[str]) -> list[KubeError]:
        """The error for each of `namespaces` that is being deleted.

        Asked after the objects were written: one whose deletion begins later takes what was there with it.
        """
        found = await asyncio.gather(*(self._guarded(self._check(name)) for name in sorted(namespaces)))
        return [error for error in found if error is not None]

    async def _check(self, namespace: str) -> None:
        found = await self._client.find(NAMESPACES, namespace)
        if found is not None and _is_ending(found):
            raise EndingError(f"namespace {namespace}")

    async def _existing(
        self, owner: Owner, gvk: GVK, errors: list[KubeError]
    ) -> tuple[Resource, Existing] | None:
        """What the set has of a kind now; None (and an error noted) if that cannot be told."""
        try:
            resource = await self._discovery.resource(gvk)
            page = await self._client.list(resource, label_selector=owner.selector)
        except KubeError as error:
            if error.reason == "NotServed":
                self._discovery.forget(gvk)
            errors.append(error)
            return None
        return resource, {key_of(item): item for item in page.items}

    async def _apply_kind(
        self, owner: Owner, resource: Resource, existing: Existing, objects: Sequence[Object], spare: Spare
    ) -> list[KubeError]:
        desired = {key_of(obj): obj for obj in (_placed(resource, marked(obj, owner)) for obj in objects)}
        left = [obj for key, obj in existing.items() if key not in desired and is_prunable(obj)]
        stale = [obj for obj in left if not spare(resource.gvk, key_of(obj))]
        outcomes = await asyncio.gather(
            *(self._guarded(self._ensure(resource, obj, existing.get(key))) for key, obj in desired.items()),
            *(self._guarded(self._prune(resource, obj)) for obj in stale),
        )
        return [error for error in outcomes if error is not None]

    async def _guarded(self, work: Awaitable[None]) -> KubeError | None:
        try:
            async with self._slots:
                await work
        except KubeError as error:
            return error
        return None

    async def _ensure(self, resource: Resource, desired: Object, live: Object | None) -> None:
        """Create `desired`, or bring `live` (or an object of that name that nobody marked) to it."""
        namespace, name = key_of(desired)
        for attempt in range(CONFLICT_ATTEMPTS):
            try:
                if live is None:
                    await self._create(resource, desired)
                else:
                    await self._patch(resource, desired, live)
                return
            except EndingError:
                raise
            except KubeError as error:
                if error.status != 409 or attempt == CONFLICT_ATTEMPTS - 1:
                    raise
            live = await self._client.find(resource, name, namespace)

    async def _create(self, resource: Resource, desired: Object) -> None:
        if is_built_in(resource.gvk.group):
            await self._client.create(resource, desired)
        else:
            await self._client.create_custom(resource, desired)

    async def _patch(self, resource: Resource, desired: Object, live: Object) -> None:
        if _is_ending(live):
            raise EndingError(f"{resource.gvk.kind} {key_of(live)}")
        patch = patch_for(desired, live)
        if not patch:
            return
        patch.setdefault("metadata", {})["resourceVersion"] = metadata(live)["resourceVersion"]
        namespace, name = key_of(live)
        await self._client.patch(resource, name, patch, namespace=namespace)

    async def _prune(self, resource: Resource, obj: Object) -> None:
        namespace, name = key_of(obj)
        await self._client.delete(resource, name, namespace)


def patch_for(desired: Object, live: Object) -> Object:
    """The JSON merge patch that brings `live` to `desired`; empty if nothing but the applied copy would change."""
    merged = three_way_merge(applied_of(live), desired, live, by_identity=is_built_in(GVK.of(desired).group))
    for field in ("apiVersion", "kind", "status"):
        _keep(field, live, merged)
    for field in ("creationTimestamp", "resourceVersion", "uid", "generation", "managedFields"):
        _keep(field, metadata(live), metadata(merged))
    patch = merge_patch(live, merged)
    only_the_copy = patch.get("metadata", {}).get("annotations", {}).keys() == {APPLIED} and len(patch) == 1
    return {} if only_the_copy and patch["metadata"].keys() == {"annotations"} else patch


def _is_ending(live: Object) -> bool:
    return "deletionTimestamp" in metadata(live)


def _keep(field: str, source: Object, target: Object) -> None:
    target.pop(field, None)
    if field in source:
        target[field] = source[field]


def _placed(resource: Resource, obj: Object) -> Object:
    """`obj` with the namespace its kind needs."""
    meta = obj["metadata"]
    if not resource.namespaced:
        meta.pop("namespace", None)
    elif not meta.get("namespace"):
        meta["namespace"] = DEFAULT_NAMESPACE
    return obj
