"""The deploy controller: keeps the cluster in step with the manifests directory, one Addon object per file.

Upstream behaviour (k3s deploy controller) except where noted:

- A change in the directory is acted on at once (inotify); the 15 s scan remains for what inotify cannot see.
- Upstream re-applies *every* file each 15 s until all of them succeed. Here a file is applied once per start
  whether or not its checksum changed, and one that failed is tried again by itself, first after a quarter of a
  second (its CRD may be about to be served), then less often. A file that cannot be parsed waits for its change.
- What a file applied is deleted with it; `rke2.addons.holdings` tells why and when.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from rke2.addons.apply import Applier
from rke2.addons.holdings import DIRECTORIES, Holdings, directories_of
from rke2.addons.manifests import Listing, ManifestFile, addon_name, list_manifests
from rke2.addons.objectset import Owner
from rke2.errors import HostError, KubeError
from rke2.host.files import ensure_dir
from rke2.host.inotify import DirectoryWatch
from rke2.kube.backoff import Backoff
from rke2.kube.client import Client
from rke2.kube.discovery import Discovery
from rke2.kube.documents import ManifestError, load_manifest
from rke2.kube.events import EventRecorder
from rke2.kube.objects import GVK, Object, annotations_of, metadata, name_of
from rke2.kube.persistence import Outage
from rke2.kube.resources import ADDONS

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
GVKS_ANNOTATION = "addon.k3s.cattle.io/gvks"
SCAN_SECONDS = 15.0
UNREACHABLE_SECONDS = 2.0
"""Longest pause while the API does not answer at all: it may be back any moment."""
SETTLE_SECONDS = 0.03
"""A copied directory makes many events: one scan for all that come within this time."""

_NO_MTIME = -1
"""Of a file that is not there: unlike that of any other."""

_Work = Callable[[ManifestFile, Object], Awaitable[None]]


class _Failed(Exception):
    """Handling a file stopped; told by event `reason`.

    Args:
        final: only a change of the file can help.
    """

    def __init__(self, reason: str, error: Exception, *, final: bool = False) -> None:
        super().__init__(str(error))
        self.reason, self.final = reason, final


class _Retry:
    """When a failed file is tried again."""

    def __init__(self) -> None:
        self._backoff = Backoff(0.25, SCAN_SECONDS)
        self.due = 0.0

    def postpone(self, limit: float) -> None:
        """Try again after a growing delay, at most `limit` seconds."""
        self.due = time.monotonic() + min(limit, self._backoff.next())

    def give_up(self) -> None:
        """Only a change of the file can help."""
        self.due = float("inf")


class DeployController:
    """Applies the files of one directory; deletes the disabled ones, and what removed ones had applied.

    Args:
        client: used as component ``deploy``.
        root: the manifests directory; made if missing.
        disables: names and directories that are disabled (``--disable`` and what the configuration adds).
        packaged: names of the files that belong to this release.
    """

    def __init__(
        self,
        client: Client,
        root: Path,
        disables: Collection[str] = (),
        *,
        packaged: Collection[str] = (),
        node: str = "",
    ) -> None:
        self._client = client.named("deploy")
        self._discovery = Discovery(self._client)
        self._applier = Applier(self._client, self._discovery)
        self._events = EventRecorder(self._client, "deploy", node)
        self._root, self._disables = root, frozenset(disables)
        self._holdings = Holdings(root, packaged)
        self._recalled = False
        self._seen: dict[Path, int] = {}
        self._applied: set[Path] = set()
        self._retries: dict[Path, _Retry] = {}
        self._outage = Outage("deploying manifests")

    async def run(self) -> None:
        """Work until cancelled."""
        ensure_dir(self._root, 0o700)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._events.run(), name="deploy events")
            with _directory_watch() as watch:
                while True:
                    await self._scan(watch)
                    await self._wait(watch)

    async def _scan(self, watch: DirectoryWatch | None) -> None:
        try:
            listing = list_manifests(self._root)
            while watch is not None and watch.watch(listing.directories):
                listing = list_manifests(self._root)
        except (OSError, HostError) as error:
            log.warning("manifests in %s cannot be listed: %s", self._root, error)
            return
        await self.handle(listing)

    async def handle(self, listing: Listing) -> None:
        """Do what one listing of the directory asks for."""
        self._recalled &= not self._holdings.identify()
        for file in listing.disabled(self._disables):
            if self._is_due(file):
                await self._attempt(file, self._delete, create=False)
        for file in listing.wanted(self._disables):
            if self._is_due(file):
                await self._attempt(file, self._apply, create=True)
        gone = await self._gone(listing)
        for file in gone:
            if self._is_due(file):
                await self._attempt(file, self._withdraw, create=False)
        self._forget_removed({file.path for file in (*listing.files, *gone)})

    def _is_due(self, file: ManifestFile) -> bool:
        """Whether the file changed, or failed and waited long enough. Mtime 0 (reproducible archives) is no mark."""
        if self._seen.get(file.path) != file.mtime_ns:
            self._retries.pop(file.path, None)
            return True
        retry = self._retries.get(file.path)
        return retry.due <= time.monotonic() if retry else file.mtime_ns == 0

    def _forget_removed(self, present: set[Path]) -> None:
        for path in self._seen.keys() - present:
            self._seen.pop(path)
            self._retries.pop(path, None)
            self._applied.discard(path)

    async def _wait(self, watch: DirectoryWatch | None) -> None:
        """Until the directory changes, a retry is due or the scan interval is over."""
        due = min((self._holdings.due, *(retry.due for retry in self._retries.values())))
        seconds = max(0.0, min(SCAN_SECONDS, due - time.monotonic()))
        if watch is None:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await watch.changed()
                await asyncio.sleep(SETTLE_SECONDS)

    async def _attempt(self, file: ManifestFile, work: _Work, *, create: bool) -> None:
        """Handle one file; a failure becomes an event on its Addon and never concerns other files."""
        self._seen[file.path] = file.mtime_ns
        retry = self._retries.pop(file.path, None) or _Retry()
        addon: Object | None = None
        try:
            addon = await self._addon(file, create=create)
            await work(file, addon)
            self._outage.over()
            return
        except _Failed as failure:
            self._warn(addon, file, failure.reason, str(failure))
            if failure.final:
                retry.give_up()
            else:
                retry.postpone(SCAN_SECONDS)
        except KubeError as error:
            self._outage.failed(error)
            retry.postpone(SCAN_SECONDS if error.status else UNREACHABLE_SECONDS)
        except Exception:  # a fault of ours with one file must not keep the others from being deployed
            log.exception("manifest %s failed; trying again", file.path)
            retry.postpone(SCAN_SECONDS)
        self._retries[file.path] = retry

    def _warn(self, addon: Object | None, file: ManifestFile, reason: str, message: str) -> None:
        if addon is not None:
            self._events.emit(addon, "Warning", reason, f"{_EVENTS[reason]} {_quoted(file.path)}: {message}")

    def _tell(self, addon: Object, file: ManifestFile, reason: str) -> None:
        self._events.emit(addon, "Normal", reason, f"{_EVENTS[reason]} {_quoted(file.path)}")

    # --- applying ------------------------------------------------------------------------------
    async def _apply(self, file: ManifestFile, addon: Object) -> None:
        content = _read(file.path)
        checksum = hashlib.sha256(content).hexdigest()
        if file.path in self._applied and addon["spec"].get("checksum") == checksum:
            return
        objects = _parse(content)
        kinds = _kinds(objects)
        self._tell(addon, file, "ApplyingManifest")
        all_kinds = list(dict.fromkeys([*kinds, *_recorded_kinds(addon)]))
        try:
            await self._apply_set(addon, objects, await self._served(all_kinds))
        except _Failed:
            # Some objects may be there: whoever deletes the Addon has to know their kinds.
            with suppress(KubeError):
                await self._record(addon, file, addon["spec"].get("checksum", ""), all_kinds)
            raise
        self._tell(addon, file, "AppliedManifest")
        await self._record(addon, file, checksum, kinds)
        self._applied.add(file.path)
        log.info("applied manifest %s", file.path)

    async def _apply_set(self, addon: Object, objects: Sequence[Object], kinds: Sequence[GVK]) -> None:
        try:
            await self._applier.apply(Owner.of(addon), objects, kinds)
        except KubeError as error:
            raise _Failed("ApplyManifestFailed", error) from error

    async def _served(self, kinds: Sequence[GVK]) -> list[GVK]:
        """Those of `kinds` the API serves."""
        try:
            return [gvk for gvk in dict.fromkeys(kinds) if await self._discovery.serves(gvk)]
        except KubeError as error:
            raise _Failed("ValidateManifestFailed", error) from error

    async def _addon(self, file: ManifestFile, *, create: bool) -> Object:
        """The Addon of the file; if `create`, it is made first, so that events have something to be about."""
        name = addon_name(file.path)
        addon = await self._client.find(ADDONS, name, NAMESPACE)
        if addon is None:
            addon = _new_addon(name, file.path, self._holdings.identity)
            addon = await self._client.create_custom(ADDONS, addon) if create else addon
        addon.setdefault("spec", {})
        self._holdings.recall([addon])
        return addon

    async def _record(self, addon: Object, file: ManifestFile, checksum: str, kinds: Sequence[GVK]) -> None:
        """Note on the Addon what was applied, and that the file is here; unchanged Addons are not written."""
        spec = {"source": str(file.path), "checksum": checksum}
        annotations = {
            GVKS_ANNOTATION: ";".join(map(str, kinds)),
            DIRECTORIES: self._holdings.with_this(addon),
        }
        if addon["spec"] != spec or not annotations.items() <= annotations_of(addon).items():
            await self._annotate(addon, annotations, spec=spec)
        self._holdings.add(name_of(addon), file.path)

    async def _annotate(self, addon: Object, annotations: dict[str, str], **more: Any) -> None:
        """Change the Addon, unless another server did so meanwhile."""
        meta = {"annotations": annotations, "resourceVersion": metadata(addon)["resourceVersion"]}
        await self._client.patch(ADDONS, name_of(addon), {"metadata": meta, **more}, namespace=NAMESPACE)

    # --- deleting ------------------------------------------------------------------------------
    async def _delete(self, file: ManifestFile, addon: Object) -> None:
        """Delete what a disabled file applied, then the file, then its Addon."""
        kinds = await self._served([*self._kinds_in(file, addon), *_recorded_kinds(addon)])
        await self._apply_set(addon, (), kinds)
        if not file.linked:
            file.path.unlink(missing_ok=True)
        self._tell(addon, file, "DeletingManifest")
        await self._client.delete(ADDONS, name_of(addon), NAMESPACE)
        self._holdings.drop(name_of(addon))
        log.info("deleted disabled manifest %s", file.path)

    async def _gone(self, listing: Listing) -> list[ManifestFile]:
        """The files that have been removed, also while this process was not running."""
        try:
            if not self._recalled:
                self._holdings.recall((await self._client.list(ADDONS, NAMESPACE)).items)
                self._recalled = True
        except KubeError as error:
            self._outage.failed(error)
        gone = self._holdings.gone(listing)
        return [ManifestFile(path, path.relative_to(self._root), mtime_ns=_NO_MTIME) for path in gone]

    async def _withdraw(self, file: ManifestFile, addon: Object) -> None:
        """Delete what a removed file applied, and its Addon, unless another directory holds the file."""
        if os.path.lexists(file.path):
            return  # back since the directory was listed
        if self._holdings.identity in directories_of(addon) and "uid" in metadata(addon):
            if others := self._holdings.without_this(addon):
                await self._annotate(addon, {DIRECTORIES: others})
            else:
                await self._delete_applied(file, addon)
        self._holdings.drop(addon_name(file.path))

    async def _delete_applied(self, file: ManifestFile, addon: Object) -> None:
        self._tell(addon, file, "DeletingManifest")
        await self._apply_set(addon, (), await self._served(list(_recorded_kinds(addon))))
        await self._client.delete(ADDONS, name_of(addon), NAMESPACE, uid=metadata(addon)["uid"])
        self._tell(addon, file, "DeletedManifest")
        log.info("deleted what the removed manifest %s had applied", file.path)

    def _kinds_in(self, file: ManifestFile, addon: Object) -> list[GVK]:
        """Kinds in a file that is to be deleted; one that cannot be read does not stop the deletion."""
        try:
            return _kinds(_parse(_read(file.path)))
        except _Failed as failure:
            self._warn(addon, file, failure.reason, str(failure))
            return []


_EVENTS = {
    "ApplyingManifest": "Applying manifest at",
    "AppliedManifest": "Applied manifest at",
    "DeletingManifest": "Deleting manifest at",
    "DeletedManifest": "Deleted manifest at",
    "ReadManifestFailed": "Read manifest failed at",
    "ParseManifestFailed": "Parse manifest failed at",
    "ValidateManifestFailed": "Validate manifest failed at",
    "ApplyManifestFailed": "Apply manifest failed at",
}


def _directory_watch() -> DirectoryWatch | nullcontext[None]:
    try:
        return DirectoryWatch()
    except HostError as error:
        log.warning("manifests are only scanned every %.0f s: %s", SCAN_SECONDS, error)
        return nullcontext()


def _quoted(path: Path) -> str:
    return json.dumps(str(path))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _Failed("ReadManifestFailed", error) from error


def _parse(content: bytes) -> list[Object]:
    try:
        return load_manifest(content)
    except ManifestError as error:
        raise _Failed("ParseManifestFailed", error, final=True) from error


def _kinds(objects: Sequence[Object]) -> list[GVK]:
    return list(dict.fromkeys(map(GVK.of, objects)))


def _recorded_kinds(addon: Object) -> Iterator[GVK]:
    for text in annotations_of(addon).get(GVKS_ANNOTATION, "").split(";"):
        with suppress(ValueError):
            yield GVK.parse(text)


def _new_addon(name: str, source: Path, directory: str) -> Object:
    return {
        "apiVersion": ADDONS.gvk.api_version,
        "kind": ADDONS.gvk.kind,
        "metadata": {"name": name, "namespace": NAMESPACE, "annotations": {DIRECTORIES: directory}},
        "spec": {"source": str(source)},
    }
