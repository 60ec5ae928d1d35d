"""What is imported when: an image store that only remembers, real archives and lists."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pytest

from rke2.content.images import preload as module
from rke2.content.images.archive_cache import CACHE_FILE, RKE2S_FILE
from rke2.content.images.importing import Imported
from rke2.content.images.preload import Preload, listed
from rke2.content.images.store import ImageStore
from rke2.content.images.tables import list_images
from rke2.errors import ComponentError, ContentError
from tests.unit.content.archive_maker import image_members, layer, write_archive

A, B = "registry.example/a:1", "registry.example/b:1"


class Store:
    """Holds references; imports wait for `go`, and those of archives in `refused` fail."""

    def __init__(self) -> None:
        self.go = asyncio.Event()
        self.go.set()
        self.held: dict[str, str] = {}
        self.imports: list[tuple[str, set[str]]] = []
        self.pinned: list[str] = []
        self.refused: set[str] = set()

    async def digests(self) -> dict[str, str]:
        return dict(self.held)

    async def tag(self, reference: str, names: Collection[str]) -> None:
        self.held.update(dict.fromkeys(names, self.held[reference]))

    async def pin(self, reference: str) -> None:
        self.pinned.append(reference)

    async def import_archive(
        self, archive: Path, references: Collection[str], imported: Imported, **_: object
    ) -> None:
        await self.go.wait()
        self.imports.append((archive.name, set(references)))
        if archive.name in self.refused:
            raise ContentError(f"image archive {archive} was not imported: no")
        for image in list_images(archive):
            if wanted := tuple(reference for reference in image.references if reference in references):
                self.held.update(dict.fromkeys(wanted, image.digest or f"sha256:{len(self.held):064}"))
                await imported(wanted)


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Store:
    made = Store()

    async def import_archive(_: object, *arguments: Any, **options: Any) -> None:
        await made.import_archive(*arguments, **options)

    monkeypatch.setattr(module, "import_archive", import_archive)
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.05)
    return made


def preload(store: Store, directory: Path, **options: Any) -> Preload:
    return Preload(cast(ImageStore, store), directory, **options)


def archive(path: Path, reference: str, content: bytes = b"x", layout: str = "oci") -> Path:
    return write_archive(path, image_members(reference, [layer({"f": content})], layout=layout))


@contextmanager
def opened(directory: Path) -> Iterator[list[str]]:
    """The archives below `directory` that this process opens meanwhile."""
    found: list[str] = []
    _WATCHED.append((str(directory), found))
    yield found
    _WATCHED.pop()


_WATCHED: list[tuple[str, list[str]]] = []


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    if event == "open" and _WATCHED:
        directory, found = _WATCHED[-1]
        if str(arguments[0]).startswith(directory) and ".tar" in str(arguments[0]):
            found.append(str(arguments[0]))


sys.addaudithook(_audit)


async def test_nothing_to_import_is_soon_finished(tmp_path: Path, store: Store) -> None:
    images = preload(store, tmp_path)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(images.finished())
        tasks.create_task(images.run())


async def test_finished_waits_for_the_last_archive_and_for_no_good_end(tmp_path: Path, store: Store) -> None:
    archive(tmp_path / "images.tar", A)
    store.refused.add("images.tar")
    store.go.clear()
    images = preload(store, tmp_path)
    async with asyncio.timeout(5), asyncio.TaskGroup() as tasks:
        tasks.create_task(images.run())
        waiting = tasks.create_task(images.finished())
        while not images.provides(A):
            await asyncio.sleep(0.01)
        assert images.pending(A)
        assert not waiting.done()
        store.go.set()
    with pytest.raises(ContentError, match=f"image {A} is missing: .*images.tar was not imported"):
        await images.available(A)


@pytest.mark.parametrize("layout", ["oci", "docker"])
async def test_an_archive_that_did_not_change_is_not_opened(
    tmp_path: Path, store: Store, layout: str
) -> None:
    archive(tmp_path / "a.tar.zst", A, layout=layout)
    archive(tmp_path / "runtime.tar", B, layout=layout)
    for _ in range(2):
        await preload(store, tmp_path, skip=[B]).run()
    with opened(tmp_path) as names:
        await preload(store, tmp_path, skip=[B]).run()
    assert names == []
    assert store.imports == [("a.tar.zst", {A})]


async def test_the_cache_does_not_hide_an_image_that_is_gone(tmp_path: Path, store: Store) -> None:
    archive(tmp_path / "a.tar", A)
    await preload(store, tmp_path).run()
    store.held.clear()
    await preload(store, tmp_path).run()
    assert len(store.imports) == 2
    store.held[A] = f"sha256:{1:064}"
    await preload(store, tmp_path).run()
    assert len(store.imports) == 3


async def test_size_and_time_do_not_hide_another_content(tmp_path: Path, store: Store) -> None:
    path = archive(tmp_path / "a.tar", A, b"x")
    await preload(store, tmp_path).run()
    before = path.stat()
    archive(path, A, b"y")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_size == before.st_size
    await preload(store, tmp_path).run()
    assert len(store.imports) == 2


async def test_a_file_that_is_only_new_is_not_imported_again(tmp_path: Path, store: Store) -> None:
    path = archive(tmp_path / "a.tar", A)
    await preload(store, tmp_path).run()
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(content)
    await preload(store, tmp_path).run()
    assert len(store.imports) == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"a.tar": {"size": 1}}', '{"a.tar": null}'])
async def test_a_broken_cache_is_none(tmp_path: Path, store: Store, text: str) -> None:
    archive(tmp_path / "a.tar", A)
    (tmp_path / CACHE_FILE).write_text(text)
    await preload(store, tmp_path).run()
    assert len(store.imports) == 1


def rke2s_cache(path: Path, *images: str, **changed: object) -> str:
    """As RKE2 v1.36 writes it."""
    modified = datetime.fromtimestamp(int(path.stat().st_mtime), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    entry = {"size": path.stat().st_size, "modTime": modified, "images": images, **changed}
    text = json.dumps({str(path): entry})
    (path.parent / RKE2S_FILE).write_text(text)
    return text


async def test_what_rke2_imported_is_not_imported_again_and_its_cache_stays(
    tmp_path: Path, store: Store
) -> None:
    path = archive(tmp_path / "a.tar", A, layout="docker")
    text = rke2s_cache(path, A)
    store.held[A] = f"sha256:{1:064}"
    for _ in range(2):
        with opened(tmp_path) as names:
            await preload(store, tmp_path).run()
        assert (names, store.imports) == ([], [])
    archive(path, A, b"another content", layout="docker")
    await preload(store, tmp_path).run()
    assert len(store.imports) == 1
    assert (tmp_path / RKE2S_FILE).read_text() == text


@pytest.mark.parametrize(
    "changed", [{"size": 1}, {"modTime": "2001-01-01T00:00:00Z"}, {"modTime": "?"}, {"images": [A, B]}]
)
async def test_rke2s_word_counts_for_the_same_file_and_if_all_is_there(
    tmp_path: Path, store: Store, changed: dict[str, object]
) -> None:
    rke2s_cache(archive(tmp_path / "a.tar", A, layout="docker"), A, **changed)
    store.held[A] = f"sha256:{1:064}"
    await preload(store, tmp_path).run()
    assert len(store.imports) == 1


async def test_rke2s_cache_is_not_made_and_that_of_an_earlier_release_leaves_its_place(
    tmp_path: Path, store: Store
) -> None:
    archive(tmp_path / "a.tar", A, layout="docker")
    await preload(store, tmp_path).run()
    assert not (tmp_path / RKE2S_FILE).exists()
    (tmp_path / CACHE_FILE).rename(tmp_path / RKE2S_FILE)
    await preload(store, tmp_path).run()
    assert len(store.imports) == 1
    assert not (tmp_path / RKE2S_FILE).exists()


async def test_only_what_is_missing_is_imported(tmp_path: Path, store: Store) -> None:
    first, second = image_members(A, [layer({})]), image_members(B, [layer({"b": b""})])
    table = json.dumps(json.loads(first.pop("manifest.json")) + json.loads(second.pop("manifest.json")))
    write_archive(tmp_path / "ab.tar", {"manifest.json": table.encode(), **first, **second})
    await preload(store, tmp_path).run()
    del store.held[B]
    await preload(store, tmp_path).run()
    assert store.imports == [("ab.tar", {A, B}), ("ab.tar", {B})]


async def test_of_two_archives_with_one_name_the_last_wins_every_time(tmp_path: Path, store: Store) -> None:
    for name, content in (("a.tar", b"old"), ("b.tar", b"new")):
        archive(tmp_path / name, A, content)
    for _ in range(3):
        await preload(store, tmp_path).run()
    assert [name for name, _ in store.imports] == ["b.tar"]


async def test_every_image_is_tagged_for_the_other_registries(tmp_path: Path, store: Store) -> None:
    archive(tmp_path / "a.tar", A)
    await preload(store, tmp_path).run()
    for _ in range(2):  # asked for later: the archive is looked at again, once
        await preload(store, tmp_path, extra_registries=["reg.example:5000/x"]).run()
    assert len(store.imports) == 2
    assert store.held["reg.example:5000/x/a:1"] == store.held[A]


async def test_a_bad_archive_is_reported_and_the_others_go_on(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "a.tar.gz").write_bytes(b"garbage")
    archive(tmp_path / "b.tar", B)
    await preload(store, tmp_path).run()
    assert store.imports == [("b.tar", {B})]
    assert f"{tmp_path / 'a.tar.gz'} is truncated or corrupt" in caplog.text
    assert "compare its checksum" in caplog.text


@contextmanager
def watching(images: Preload) -> Iterator[None]:
    task = asyncio.get_running_loop().create_task(images.watch())
    yield
    assert not task.done()
    task.cancel()


async def until(condition: Any) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


async def test_what_is_added_later_is_imported_when_it_is_whole(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SETTLE_SECONDS", 0.5)
    content = archive(tmp_path / "ready.tar", A, bytes(1 << 20)).read_bytes()
    (tmp_path / "ready.tar").unlink()
    with watching(preload(store, tmp_path)):
        with (tmp_path / "a.tar").open("wb") as file:
            for at in range(0, len(content), 1 << 17):
                file.write(content[at : at + (1 << 17)])
                file.flush()
                await asyncio.sleep(0.02)
        await until(lambda: A in store.held)
    assert "truncated" not in caplog.text


async def test_a_bad_archive_is_reported_once_while_others_come(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    with watching(preload(store, tmp_path)):
        (tmp_path / "bad.tar.gz").write_bytes(b"garbage")
        await until(lambda: "bad.tar.gz" in caplog.text)
        archive(tmp_path / "a.tar", A)
        await until(lambda: A in store.held)
        archive(tmp_path / "bad.tar.gz", B)
        await until(lambda: B in store.held)
    assert caplog.text.count("bad.tar.gz is truncated") == 1


async def test_lists_are_pulled_and_pinned(
    tmp_path: Path, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    pulled: list[str] = []

    async def pull(reference: str) -> None:
        if reference == "reg.example/away:1":
            raise ComponentError("crictl pull failed: no such host")
        pulled.append(reference)

    archive(tmp_path / "a.tar", A)
    (tmp_path / "list.txt").write_text(
        f"{A}\n\n# a comment\nbusybox:1 # small\nreg.example/away:1\nbusybox:1\nother:2"
    )
    images = preload(store, tmp_path, pull=pull)
    await images.run()
    assert pulled == [], "the boot does not wait for registries"
    with watching(images):
        await until(lambda: len(store.pinned) == 3)
        (tmp_path / "more.txt").write_text("later:1")
        await until(lambda: len(store.pinned) == 4)
    assert pulled == ["busybox:1", "other:2", "later:1"]
    assert store.pinned == [A, *(f"docker.io/library/{name}" for name in pulled)]
    assert (
        f"image reg.example/away:1 of {tmp_path / 'list.txt'} was not pulled: crictl pull failed"
        in caplog.text
    )


def test_a_list_without_a_last_newline() -> None:
    assert listed("a:1\r\nb:2") == ["a:1", "b:2"]


@pytest.mark.parametrize("where", ["list_images", "import_archive"])
async def test_a_fault_with_one_archive_is_reported_and_the_others_go_on(
    tmp_path: Path,
    store: Store,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    where: str,
) -> None:
    archive(tmp_path / "1.tar", A)
    archive(tmp_path / "2.tar", B)
    real = getattr(module, where)

    def fails(*arguments: Any, **options: Any) -> Any:
        if tmp_path / "1.tar" in arguments:
            raise ZeroDivisionError("a fault of ours")
        return real(*arguments, **options)

    monkeypatch.setattr(module, where, fails)
    images = preload(store, tmp_path)
    await images.run()
    assert set(store.held) == {B}
    assert f"image archive {tmp_path / '1.tar'} was not imported: ZeroDivisionError" in caplog.text
    if where == "import_archive":
        with pytest.raises(ContentError):
            await images.available(A)
