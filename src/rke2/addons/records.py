"""The Addons in the cluster: which one is a file's, and what is noted on it."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from rke2.addons.holdings import DIRECTORIES, Holdings, directories_of
from rke2.addons.manifests import ManifestFile
from rke2.addons.names import PATH, file_of, has_plain_name, own_name, plain_name
from rke2.addons.telling import Telling
from rke2.kube.client import Client
from rke2.kube.objects import GVK, Object, annotations_of, metadata, name_of
from rke2.kube.resources import ADDONS

NAMESPACE = "kube-system"
GVKS_ANNOTATION = "addon.k3s.cattle.io/gvks"


class AddonRecords:
    """Finds, makes and changes Addons. Every request raises `KubeError`.

    Args:
        root: the manifests directory.
        packaged: names of the files that belong to this release.
        holdings: is told which Addons have their file in the directory.
    """

    def __init__(
        self, client: Client, root: Path, packaged: Collection[str], holdings: Holdings, telling: Telling
    ) -> None:
        self._client, self._root, self._packaged = client, root, packaged
        self._holdings, self._telling = holdings, telling
        self.manifests: Mapping[Path, ManifestFile] = {}
        """Every manifest of the directory, by its path below it: files of one name are each other's rivals."""

    async def all(self) -> Sequence[Object]:
        return (await self._client.list(ADDONS, NAMESPACE)).items

    async def of(self, file: ManifestFile, name: str, *, create: bool) -> Object:
        """The Addon of the file; if `create`, it is made first, so that events have something to be about.

        Args:
            name: of the Addon, if it is known.
        """
        addon = await self._client.find(ADDONS, name, NAMESPACE) if name else await self._known(file)
        if addon is None:
            addon = new_addon(name, file)
        if create and "uid" not in metadata(addon):
            addon = await self._create(addon, file)
        addon.setdefault("spec", {})
        self._holdings.recall([addon])
        if create:
            self._holdings.add(name_of(addon), file.path)
        return addon

    async def _known(self, file: ManifestFile) -> Object:
        """The Addon that is the file's, or will be: as it is in the cluster, or still to be created."""
        plain, own = plain_name(file.path), own_name(file.relative)
        named = await self._client.find(ADDONS, plain, NAMESPACE)
        holder = file_of(named, self._root) if named else None
        if holder != file.relative and (known := await self._client.find(ADDONS, own, NAMESPACE)):
            return known
        elsewhere = bool(named) and bool(directories_of(named or {}) - {self._holdings.identity})
        rivals = [path for path in self.manifests if path != file.relative and plain_name(path) == plain]
        if has_plain_name(file.relative, rivals, self._packaged, holder, elsewhere=elsewhere):
            return named or new_addon(plain, file)
        return new_addon(own, file)

    async def _create(self, addon: Object, file: ManifestFile) -> Object:
        metadata(addon)["annotations"] = {DIRECTORIES: self._holdings.identity, PATH: str(file.relative)}
        made = await self._client.create_custom(ADDONS, addon)
        if name_of(made) != (plain := plain_name(file.path)):
            others = sorted(str(p) for p in self.manifests if plain_name(p) == plain and p != file.relative)
            whose = (
                f"that of another file ({', '.join(others)})"
                if others
                else "not free, or no name of an object"
            )
            words = f"its Addon is {name_of(made)}, as {plain} is {whose}"
            self._telling.warning(made, file.path, "AddonNameTaken", words)
        return made

    async def record(self, addon: Object, file: ManifestFile, checksum: str, kinds: Sequence[GVK]) -> None:
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

    async def release(self, addon: Object) -> None:
        """Note on the Addon that the file is no longer here."""
        await self._annotate(addon, {DIRECTORIES: self._holdings.without_this(addon)})

    async def _annotate(self, addon: Object, annotations: dict[str, str], **more: Any) -> None:
        """Change the Addon, unless another server did so meanwhile."""
        meta = {"annotations": annotations, "resourceVersion": metadata(addon)["resourceVersion"]}
        await self._client.patch(ADDONS, name_of(addon), {"metadata": meta, **more}, namespace=NAMESPACE)

    async def delete(self, addon: Object, *, uid: str = "") -> None:
        """Delete the Addon, and if `uid` is given only while it is still that one."""
        await self._client.delete(ADDONS, name_of(addon), NAMESPACE, uid=uid)


def new_addon(name: str, file: ManifestFile) -> Object:
    """An Addon that is not in the cluster yet."""
    return {
        "apiVersion": ADDONS.gvk.api_version,
        "kind": ADDONS.gvk.kind,
        "metadata": {"name": name, "namespace": NAMESPACE},
        "spec": {"source": str(file.path)},
    }


def recorded_kinds(addon: Object) -> Iterator[GVK]:
    """The kinds of what its file applied; what cannot be read of them is left out."""
    for text in annotations_of(addon).get(GVKS_ANNOTATION, "").split(";"):
        with suppress(ValueError):
            yield GVK.parse(text)
