"""The deploy controller: keeps the cluster in step with the manifests directory, one Addon object per file.

Upstream behaviour (k3s deploy controller) except where noted:

- A change in the directory is acted on at once (inotify); the 15 s scan remains for what inotify cannot see.
- Upstream re-applies *every* file each 15 s until all of them succeed. Here a file is applied once per start
  whether or not its checksum changed, and one that failed is tried again by itself, first after a quarter of a
  second (its CRD may be about to be served), then less often; `rke2.addons.attempts` decides.
- A file is its path: `rke2.addons.names` gives each an Addon of its own, and `rke2.addons.claims` tells what else
  wants an object before one is pruned.
- What a file applied is deleted with it; `rke2.addons.holdings` tells why and when.

What is done about a file is decided in `rke2.addons.decide`; this does it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from rke2.addons import decide
from rke2.addons.apply import Applier
from rke2.addons.attempts import Attempts, Failure, Key, kind_of
from rke2.addons.claims import DeployClaims
from rke2.addons.decide import FileAction, FileStep, Work
from rke2.addons.holdings import Holdings
from rke2.addons.manifests import Listing, ManifestFile, list_manifests
from rke2.addons.names import plain_name
from rke2.addons.objectset import Owner
from rke2.addons.records import AddonRecords, new_addon, recorded_kinds
from rke2.addons.telling import Tell, Telling, tell_nobody
from rke2.errors import HostError, KubeError
from rke2.host.files import ensure_dir
from rke2.host.inotify import DirectoryWatch
from rke2.kube.client import Client
from rke2.kube.discovery import Discovery
from rke2.kube.documents import ManifestError, load_manifest
from rke2.kube.events import EventRecorder
from rke2.kube.objects import GVK, Object, metadata, name_of
from rke2.kube.objects import Key as ObjectKey
from rke2.kube.persistence import Outage, is_outage

log = logging.getLogger(__name__)

SCAN_SECONDS = 15.0
SETTLE_SECONDS = 0.03
"""A copied directory makes many events: one scan for all that come within this time."""

_Effect = Callable[[ManifestFile, Object], Awaitable[None]]
Adapt = Callable[[list[Object]], Any]


def _as_they_are(_objects: list[Object]) -> None:
    pass


class _Failed(Exception):
    """Handling a file stopped; told by event `reason`."""

    def __init__(self, reason: str, error: Exception, failure: Failure = Failure.PASSING) -> None:
        super().__init__(str(error))
        self.reason, self.failure = reason, failure

    @classmethod
    def of(cls, reason: str, error: KubeError) -> Exception:
        """What `error` is to the file; itself where the API is away, which concerns all files."""
        failure = kind_of(error)
        return error if failure is Failure.OUTAGE else cls(reason, error, failure)


class DeployController:
    """Applies the files of one directory; deletes the disabled ones, and what removed ones had applied.

    Args:
        client: used as component ``deploy``.
        root: the manifests directory; made if missing.
        disables: names and directories that are disabled (``--disable`` and what the configuration adds).
        packaged: names of the files that belong to this release.
        tell: takes the troubles of files, for the status.
        adapt: changes the objects of a file before they are applied.
    """

    def __init__(
        self,
        client: Client,
        root: Path,
        disables: Collection[str] = (),
        *,
        packaged: Collection[str] = (),
        node: str = "",
        tell: Tell = tell_nobody,
        adapt: Adapt = _as_they_are,
    ) -> None:
        self._client = client.named("deploy")
        self._discovery = Discovery(self._client)
        self._applier = Applier(self._client, self._discovery)
        self._events = EventRecorder(self._client, "deploy", node)
        self._telling = Telling(self._events, tell)
        self._root, self._disables, self._packaged = root, frozenset(disables), frozenset(packaged)
        self._holdings, self._adapt = Holdings(root, packaged), adapt
        self._records = AddonRecords(self._client, root, self._packaged, self._holdings, self._telling)
        self._claims = DeployClaims()
        self._recalled = False
        self._attempts = Attempts()
        self._outage = Outage("deploying manifests")
        self._work: dict[Work, _Effect] = {
            Work.DELETE: self._delete,
            Work.APPLY: self._apply,
            Work.WITHDRAW: self._withdraw,
        }

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
        manifests = listing.manifests(self._disables, self._packaged)
        self._records.manifests = {file.relative: file for file in manifests}
        self._claims.look(manifests)
        for step in decide.listed(listing, self._disables, self._packaged):
            await self._attempt(step)
        gone = await self._gone(listing)
        for step in gone:
            await self._attempt(step)
        present = {(file.path, "") for file in listing.files} | {step.key for step in gone}
        for path in self._attempts.forget(present):
            self._telling.over(path)

    async def _wait(self, watch: DirectoryWatch | None) -> None:
        """Until the directory changes, a retry is due or the scan interval is over."""
        due = min(self._holdings.due, self._attempts.due)
        seconds = max(0.0, min(SCAN_SECONDS, due - time.monotonic()))
        if watch is None:
            await asyncio.sleep(seconds)
            return
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await watch.changed()
                await asyncio.sleep(SETTLE_SECONDS)

    async def _attempt(self, step: FileStep) -> None:
        """Handle one file if it is due; a failure becomes an event on its Addon and never concerns other files."""
        key, file, applies = step.key, step.file, step.work is Work.APPLY
        if not self._attempts.is_due(key, file.mtime_ns, time.monotonic()):
            return
        self._attempts.begin(key, file.mtime_ns)
        addon = new_addon(step.addon or plain_name(file.path), file)
        try:
            addon = await self._records.of(file, step.addon, create=applies)
            await self._work[step.work](file, addon)
        except _Failed as failure:
            self._failed(key, addon, failure.failure, failure.reason, str(failure))
        except KubeError as error:
            away = is_outage(error)
            if away:
                self._outage.failed(error)
            self._failed(
                key, addon, Failure.OUTAGE if away else kind_of(error), "ApplyManifestFailed", str(error)
            )
        except (
            Exception
        ) as error:  # a fault of ours with one file must not keep the others from being deployed
            log.exception("manifest %s failed; trying again", file.path)
            self._failed(key, addon, Failure.PASSING, "ApplyManifestFailed", repr(error))
        else:
            self._outage.over()
            self._attempts.done(key, applied=applies)
            self._telling.over(file.path)

    def _failed(self, key: Key, addon: Object, failure: Failure, reason: str, message: str) -> None:
        if self._attempts.failed(key, failure, f"{reason}: {message}", time.monotonic()):
            self._telling.trouble(addon, key[0], reason, message)

    # --- applying ------------------------------------------------------------------------------
    async def _apply(self, file: ManifestFile, addon: Object) -> None:
        content = _read(file.path)
        checksum = hashlib.sha256(content).hexdigest()
        applied = self._attempts.applied((file.path, ""))
        if decide.wanted(addon, checksum, applied=applied) is FileAction.KEEP:
            return
        objects = _parse(content)
        self._adapt(objects)
        kinds = _kinds(objects)
        self._telling.normal(addon, file.path, "ApplyingManifest")
        all_kinds = list(dict.fromkeys([*kinds, *recorded_kinds(addon)]))
        try:
            await self._apply_set(addon, file, objects, await self._served(all_kinds))
        except (_Failed, KubeError):
            # Some objects may be there: whoever deletes the Addon has to know their kinds.
            with suppress(KubeError):
                await self._records.record(addon, file, addon["spec"].get("checksum", ""), all_kinds)
            raise
        self._telling.normal(addon, file.path, "AppliedManifest")
        await self._records.record(addon, file, checksum, kinds)
        log.info("applied manifest %s", file.path)

    async def _apply_set(
        self, addon: Object, file: ManifestFile, objects: Sequence[Object], kinds: Sequence[GVK]
    ) -> None:
        """Make the set of the Addon consist of `objects`, but for what other files want: that goes over to them."""
        heirs: set[Path] = set()
        all_of_them = decide.is_shared(addon, self._holdings.identity)

        def spare(gvk: GVK, key: ObjectKey) -> bool:
            others = self._claims.of_others(file.path, gvk, key)
            heirs.update(others)
            return bool(others) or all_of_them

        try:
            await self._applier.apply(Owner.of(addon), objects, kinds, spare)
        except KubeError as error:
            raise _Failed.of("ApplyManifestFailed", error) from error
        for heir in heirs:
            self._attempts.again(heir)

    async def _served(self, kinds: Sequence[GVK]) -> list[GVK]:
        """Those of `kinds` the API serves."""
        try:
            return [gvk for gvk in dict.fromkeys(kinds) if await self._discovery.serves(gvk)]
        except KubeError as error:
            raise _Failed.of("ValidateManifestFailed", error) from error

    # --- deleting ------------------------------------------------------------------------------
    async def _delete(self, file: ManifestFile, addon: Object) -> None:
        """Delete what a disabled file applied, then the file, then its Addon."""
        kinds = await self._served([*self._kinds_in(file, addon), *recorded_kinds(addon)])
        await self._apply_set(addon, file, (), kinds)
        if not file.linked:
            file.path.unlink(missing_ok=True)
        self._telling.normal(addon, file.path, "DeletingManifest")
        await self._records.delete(addon)
        self._holdings.drop(name_of(addon))
        log.info("deleted disabled manifest %s", file.path)

    async def _gone(self, listing: Listing) -> list[FileStep]:
        """What there is to do for files that have been removed, also while this process was not running."""
        try:
            if not self._recalled:
                self._holdings.recall(await self._records.all())
                self._recalled = True
        except KubeError as error:
            self._outage.failed(error)
        return decide.missing(self._holdings.gone(listing), self._root)

    async def _withdraw(self, file: ManifestFile, addon: Object) -> None:
        """Delete what a removed file applied, and its Addon, unless another directory holds the file."""
        action = decide.gone(addon, self._holdings.identity, back=os.path.lexists(file.path))
        if action is FileAction.WAIT:
            return
        if action is FileAction.RELEASE:
            await self._records.release(addon)
        elif action is FileAction.REMOVE:
            await self._delete_applied(file, addon)
        self._holdings.drop(name_of(addon))

    async def _delete_applied(self, file: ManifestFile, addon: Object) -> None:
        self._telling.normal(addon, file.path, "DeletingManifest")
        await self._apply_set(addon, file, (), await self._served(list(recorded_kinds(addon))))
        await self._records.delete(addon, uid=metadata(addon)["uid"])
        self._telling.normal(addon, file.path, "DeletedManifest")
        log.info("deleted what the removed manifest %s had applied", file.path)

    def _kinds_in(self, file: ManifestFile, addon: Object) -> list[GVK]:
        """Kinds in a file that is to be deleted; one that cannot be read does not stop the deletion."""
        try:
            return _kinds(_parse(_read(file.path)))
        except _Failed as failure:
            self._telling.warning(addon, file.path, failure.reason, str(failure))
            return []


def _directory_watch() -> DirectoryWatch | nullcontext[None]:
    try:
        return DirectoryWatch()
    except HostError as error:
        log.warning("manifests are only scanned every %.0f s: %s", SCAN_SECONDS, error)
        return nullcontext()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise _Failed("ReadManifestFailed", error) from error


def _parse(content: bytes) -> list[Object]:
    try:
        return load_manifest(content)
    except ManifestError as error:
        raise _Failed("ParseManifestFailed", error, Failure.BROKEN) from error


def _kinds(objects: Sequence[Object]) -> list[GVK]:
    return list(dict.fromkeys(map(GVK.of, objects)))
