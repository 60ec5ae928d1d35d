"""The deploy controller: keeps the cluster in step with the manifests directory, one Addon object per file.

Upstream behaviour (k3s deploy controller) except where noted:

- A change in the directory is acted on at once (inotify); the 15 s scan remains for what inotify cannot see.
- Upstream re-applies *every* file each 15 s until all of them succeed. Here a file is applied once per start
  whether or not its checksum changed, and one that failed is tried again by itself, first after a quarter of a
  second (its CRD may be about to be served), then less often; `rke2.addons.attempts` decides.
- A file is its path: `rke2.addons.names` gives each an Addon of its own, and `rke2.addons.claims` tells what else
  wants an object before one is pruned.
- What a file applied is deleted with it; `rke2.addons.holdings` tells why and when.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import os
import time
from collections.abc import Awaitable, Callable, Collection, Iterator, Sequence
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any

from rke2.addons.apply import Applier
from rke2.addons.attempts import Attempts, Failure, Key, kind_of
from rke2.addons.claims import DeployClaims
from rke2.addons.holdings import DIRECTORIES, Holdings, directories_of
from rke2.addons.manifests import Listing, ManifestFile, list_manifests
from rke2.addons.names import PATH, file_of, has_plain_name, own_name, plain_name
from rke2.addons.objectset import Owner
from rke2.addons.telling import Tell, Telling, tell_nobody
from rke2.errors import HostError, KubeError
from rke2.host.files import ensure_dir
from rke2.host.inotify import DirectoryWatch
from rke2.kube.client import Client
from rke2.kube.discovery import Discovery
from rke2.kube.documents import ManifestError, load_manifest
from rke2.kube.events import EventRecorder
from rke2.kube.objects import GVK, Object, annotations_of, metadata, name_of
from rke2.kube.objects import Key as ObjectKey
from rke2.kube.persistence import Outage, is_outage
from rke2.kube.resources import ADDONS

log = logging.getLogger(__name__)

NAMESPACE = "kube-system"
GVKS_ANNOTATION = "addon.k3s.cattle.io/gvks"
SCAN_SECONDS = 15.0
SETTLE_SECONDS = 0.03
"""A copied directory makes many events: one scan for all that come within this time."""

_NO_MTIME = -1
"""Of a file that is not there: unlike that of any other."""

_Work = Callable[[ManifestFile, Object], Awaitable[None]]
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
        self._claims = DeployClaims()
        self._recalled = False
        self._attempts = Attempts()
        self._manifests: dict[Path, ManifestFile] = {}
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
        names = self._disables, self._packaged
        manifests = listing.manifests(*names)
        self._manifests = {file.relative: file for file in manifests}
        self._claims.look(manifests)
        for file in listing.disabled(*names):
            await self._attempt((file.path, ""), file, self._delete, create=False)
        for file in listing.wanted(*names):
            await self._attempt((file.path, ""), file, self._apply, create=True)
        gone = await self._gone(listing)
        for (_, name), file in gone.items():
            await self._attempt((file.path, name), file, self._withdraw, create=False)
        for path in self._attempts.forget({(file.path, "") for file in listing.files} | gone.keys()):
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

    async def _attempt(self, key: Key, file: ManifestFile, work: _Work, *, create: bool) -> None:
        """Handle one file if it is due; a failure becomes an event on its Addon and never concerns other files."""
        if not self._attempts.is_due(key, file.mtime_ns, time.monotonic()):
            return
        self._attempts.begin(key, file.mtime_ns)
        addon = _new_addon(key[1] or plain_name(file.path), file)
        try:
            addon = await self._addon(file, key[1], create=create)
            await work(file, addon)
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
            self._attempts.done(key, applied=work == self._apply)
            self._telling.over(file.path)

    def _failed(self, key: Key, addon: Object, failure: Failure, reason: str, message: str) -> None:
        if self._attempts.failed(key, failure, f"{reason}: {message}", time.monotonic()):
            self._telling.trouble(addon, key[0], reason, message)

    # --- applying ------------------------------------------------------------------------------
    async def _apply(self, file: ManifestFile, addon: Object) -> None:
        content = _read(file.path)
        checksum = hashlib.sha256(content).hexdigest()
        if self._attempts.applied((file.path, "")) and addon["spec"].get("checksum") == checksum:
            return
        objects = _parse(content)
        self._adapt(objects)
        kinds = _kinds(objects)
        self._telling.normal(addon, file.path, "ApplyingManifest")
        all_kinds = list(dict.fromkeys([*kinds, *_recorded_kinds(addon)]))
        try:
            await self._apply_set(addon, file, objects, await self._served(all_kinds))
        except (_Failed, KubeError):
            # Some objects may be there: whoever deletes the Addon has to know their kinds.
            with suppress(KubeError):
                await self._record(addon, file, addon["spec"].get("checksum", ""), all_kinds)
            raise
        self._telling.normal(addon, file.path, "AppliedManifest")
        await self._record(addon, file, checksum, kinds)
        log.info("applied manifest %s", file.path)

    async def _apply_set(
        self, addon: Object, file: ManifestFile, objects: Sequence[Object], kinds: Sequence[GVK]
    ) -> None:
        """Make the set of the Addon consist of `objects`, but for what other files want: that goes over to them."""
        heirs: set[Path] = set()
        all_of_them = self._is_shared(addon)

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

    def _is_shared(self, addon: Object) -> bool:
        """Whether other servers may have a file of another path that shared the Addon under an earlier release."""
        others = directories_of(addon) - {self._holdings.identity}
        return bool(others) and PATH not in annotations_of(addon)

    async def _served(self, kinds: Sequence[GVK]) -> list[GVK]:
        """Those of `kinds` the API serves."""
        try:
            return [gvk for gvk in dict.fromkeys(kinds) if await self._discovery.serves(gvk)]
        except KubeError as error:
            raise _Failed.of("ValidateManifestFailed", error) from error

    async def _addon(self, file: ManifestFile, name: str, *, create: bool) -> Object:
        """The Addon of the file; if `create`, it is made first, so that events have something to be about.

        Args:
            name: of the Addon, if it is known.
        """
        addon = await self._client.find(ADDONS, name, NAMESPACE) if name else await self._known_addon(file)
        if addon is None:
            addon = _new_addon(name, file)
        if create and "uid" not in metadata(addon):
            addon = await self._create(addon, file)
        addon.setdefault("spec", {})
        self._holdings.recall([addon])
        if create:
            self._holdings.add(name_of(addon), file.path)
        return addon

    async def _known_addon(self, file: ManifestFile) -> Object:
        """The Addon that is the file's, or will be: as it is in the cluster, or still to be created."""
        plain, own = plain_name(file.path), own_name(file.relative)
        named = await self._client.find(ADDONS, plain, NAMESPACE)
        holder = file_of(named, self._root) if named else None
        if holder != file.relative and (known := await self._client.find(ADDONS, own, NAMESPACE)):
            return known
        elsewhere = bool(named) and bool(directories_of(named or {}) - {self._holdings.identity})
        rivals = [path for path in self._manifests if path != file.relative and plain_name(path) == plain]
        if has_plain_name(file.relative, rivals, self._packaged, holder, elsewhere=elsewhere):
            return named or _new_addon(plain, file)
        return _new_addon(own, file)

    async def _create(self, addon: Object, file: ManifestFile) -> Object:
        metadata(addon)["annotations"] = {DIRECTORIES: self._holdings.identity, PATH: str(file.relative)}
        made = await self._client.create_custom(ADDONS, addon)
        if name_of(made) != (plain := plain_name(file.path)):
            others = sorted(str(p) for p in self._manifests if plain_name(p) == plain and p != file.relative)
            whose = (
                f"that of another file ({', '.join(others)})"
                if others
                else "not free, or no name of an object"
            )
            words = f"its Addon is {name_of(made)}, as {plain} is {whose}"
            self._telling.warning(made, file.path, "AddonNameTaken", words)
        return made

    async def _record(self, addon: Object, file: ManifestFile, checksum: str, kinds: Sequence[GVK]) -> None:
        """Note on the Addon what was applied, and that the file is here; unchanged Addons are not written."""
        spec = {"source": str(file.path), "checksum": checksum}
        annotations = {
            GVKS_ANNOTATION: ";".join(map(str, kinds)),
            DIRECTORIES: self._holdings.with_this(addon),
            PATH: str(file.relative),
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
        await self._apply_set(addon, file, (), kinds)
        if not file.linked:
            file.path.unlink(missing_ok=True)
        self._telling.normal(addon, file.path, "DeletingManifest")
        await self._client.delete(ADDONS, name_of(addon), NAMESPACE)
        self._holdings.drop(name_of(addon))
        log.info("deleted disabled manifest %s", file.path)

    async def _gone(self, listing: Listing) -> dict[Key, ManifestFile]:
        """The files that have been removed, also while this process was not running, and their Addons."""
        try:
            if not self._recalled:
                self._holdings.recall((await self._client.list(ADDONS, NAMESPACE)).items)
                self._recalled = True
        except KubeError as error:
            self._outage.failed(error)
        return {
            (path, name): ManifestFile(path, path.relative_to(self._root), mtime_ns=_NO_MTIME)
            for name, path in self._holdings.gone(listing).items()
        }

    async def _withdraw(self, file: ManifestFile, addon: Object) -> None:
        """Delete what a removed file applied, and its Addon, unless another directory holds the file."""
        if os.path.lexists(file.path):
            return  # back since the directory was listed
        if self._holdings.identity in directories_of(addon) and "uid" in metadata(addon):
            if others := self._holdings.without_this(addon):
                await self._annotate(addon, {DIRECTORIES: others})
            else:
                await self._delete_applied(file, addon)
        self._holdings.drop(name_of(addon))

    async def _delete_applied(self, file: ManifestFile, addon: Object) -> None:
        self._telling.normal(addon, file.path, "DeletingManifest")
        await self._apply_set(addon, file, (), await self._served(list(_recorded_kinds(addon))))
        await self._client.delete(ADDONS, name_of(addon), NAMESPACE, uid=metadata(addon)["uid"])
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


def _recorded_kinds(addon: Object) -> Iterator[GVK]:
    for text in annotations_of(addon).get(GVKS_ANNOTATION, "").split(";"):
        with suppress(ValueError):
            yield GVK.parse(text)


def _new_addon(name: str, file: ManifestFile) -> Object:
    return {
        "apiVersion": ADDONS.gvk.api_version,
        "kind": ADDONS.gvk.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"source": str(file.path)},
    }
