"""Files to a real S3 server and back: whole, signed, in parts, and after everything that goes wrong on the way."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from pathlib import Path

import pytest

from rke2.config.model import S3Settings
from rke2.errors import S3Error
from rke2.s3 import client, patience, transfer
from rke2.s3.body import Body, FilePart
from rke2.s3.client import Bucket, open_bucket
from rke2.s3.signing import UNSIGNED
from rke2.s3.transfer import PART, download, give_up_unfinished, upload
from tests.objectstore.faults import Asked, Fault, Proxy, faulty
from tests.objectstore.gateway import Gateway, gateway, own_address

pytestmark = pytest.mark.root

TYPE = "application/octet-stream"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with gateway(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def plain(tmp_path: Path) -> Iterator[Gateway]:
    """A server without TLS, to put a proxy in front of."""
    with gateway(tmp_path, tls=False, last=2) as running:
        yield running


@pytest.fixture
async def proxy(plain: Gateway) -> AsyncIterator[Proxy]:
    async with faulty(plain.settings, own_address(3)) as running:
        yield running


def file(folder: Path, size: int) -> Path:
    path = folder / f"file-{size}"
    path.write_bytes(os.urandom(size))
    return path


async def back(bucket: Bucket, key: str, folder: Path) -> bytes:
    target = folder / "back"
    with target.open("wb") as sink:
        await download(bucket, key, sink)
    return target.read_bytes()


@pytest.mark.parametrize("size", [0, 1, PART, PART + 1, 2 * PART + 5])
async def test_what_goes_there_comes_back(store: Gateway, tmp_path: Path, size: int) -> None:
    path, key = file(tmp_path, size), f"a folder/with ü+%/{size}"
    async with open_bucket(store.settings) as bucket:
        headers = {"Rke2-Node-Name": "n", "Rke2-Record": '{"a":"b  c"}'}
        assert await upload(bucket, path, key, content_type=TYPE, metadata=headers) == size
        found = await bucket.metadata(key)
        assert found["rke2-node-name"] == "n" and found["rke2-record"].replace("  ", " ") == '{"a":"b c"}'
        assert await back(bucket, key, tmp_path) == path.read_bytes()
        assert key in [each.key for each in (await bucket.page("a folder/with ü")).objects]
        await bucket.delete(key)
        await bucket.delete(key)
        assert key not in [each.key for each in (await bucket.page("")).objects]
    assert store.parts() == []


async def test_a_listing_of_many_pages_is_whole(store: Gateway) -> None:
    async with open_bucket(store.settings) as bucket:
        for number in range(7):
            await bucket.put(f"many/{number}", Body.of(b"x"), {})
        found, after = [], ""
        while True:
            page = await bucket.page("many/", after, limit=3)
            found += [each.key for each in page.objects]
            if not (after := page.next):
                break
        assert found == [f"many/{number}" for number in range(7)]


class Ahead(datetime):
    """A clock that is twenty minutes ahead."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.now(tz) + timedelta(minutes=20)


def wrong(settings: S3Settings, **changes: object) -> S3Settings:
    return replace(settings, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"bucket": "other"}, r"bucket other does not exist \(NoSuchBucket\).*rke2 makes none"),
        ({"access_key": "other"}, r"the access key is not known there \(XAdminUserNotFound\)"),
        ({"secret_key": "other"}, r"the secret key is not that of the access key \(SignatureDoesNotMatch\)"),
        ({"region": "eu-north-1"}, r"the bucket is in region us-east-1, not eu-north-1"),
        ({"endpoint_ca": ""}, r"its certificate is not trusted: .*name its CA with etcd-s3-endpoint-ca"),
        ({"insecure": True}, "not an S3 object store|connection broke off"),
        ({"endpoint": "127.0.0.1:1"}, "127.0.0.1:1 cannot be reached: "),
        ({"proxy": "http://127.0.0.1:1"}, "the proxy does not let this through"),
        ({"proxy": "nonsense"}, "proxy URL must include scheme and host"),
        ({"endpoint_ca": "/no/such/file"}, "no certificates loaded from etcd-s3-endpoint-ca: /no/such/file"),
    ],
)
async def test_what_is_wrong_is_told(store: Gateway, changes: dict[str, object], words: str) -> None:
    with pytest.raises(S3Error, match=words):
        async with open_bucket(wrong(store.settings, **changes)) as bucket:
            await bucket.page("")


async def test_a_wrong_clock_is_told(store: Gateway, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "datetime", Ahead)
    monkeypatch.setattr("rke2.s3.refusals.datetime", Ahead)
    async with open_bucket(store.settings) as bucket:
        with pytest.raises(S3Error, match=r"this host's clock is 20 minutes ahead of the object store's"):
            await bucket.page("")


@pytest.mark.parametrize("changes", [{"skip_verify": True, "endpoint_ca": ""}, {"proxy": "none"}])
async def test_what_is_right_works(store: Gateway, changes: dict[str, object]) -> None:
    async with open_bucket(wrong(store.settings, **changes)) as bucket:
        await bucket.page("")


# --- on the way ------------------------------------------------------------------------------------
def part_of(asked: Asked) -> int:
    """The number of the part that a request sends; 0 if it is another one."""
    _, _, query = asked.target.partition("partNumber=")
    return int(query.partition("&")[0]) if asked.method == "PUT" and query else 0


async def test_only_a_part_that_was_cut_is_sent_again(
    proxy: Proxy, plain: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "patiently", lambda attempt: patience.patiently(attempt, (0.0, 0.0)))
    cuts = iter([Fault(cut=PART // 2)])
    proxy.rule = lambda asked: next(cuts, None) if part_of(asked) == 3 else None
    path = file(tmp_path, 4 * PART + 77)
    async with open_bucket(proxy.settings) as bucket:
        await upload(bucket, path, "k", content_type=TYPE, metadata={})
        assert sorted(filter(None, map(part_of, proxy.asked))) == [1, 2, 3, 3, 4, 5]
        assert await back(bucket, "k", tmp_path) == path.read_bytes()


@pytest.mark.parametrize("size", [PART // 2, 2 * PART + 5], ids=["one request", "parts"])
@pytest.mark.parametrize("tls", [True, False], ids=["TLS", "no TLS"])
async def test_what_was_changed_on_the_way_is_sent_again(
    store: Gateway, plain: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, tls: bool
) -> None:
    """The store compares what arrives with a sum of what was read."""
    monkeypatch.setattr(transfer, "patiently", lambda attempt: patience.patiently(attempt, (0.0, 0.0)))
    sent, changed = FilePart.chunks, list[str]()

    async def chunks(part: FilePart) -> AsyncIterator[bytes]:
        async for chunk in sent(part):
            if changed:
                yield chunk
            else:
                changed.append(part.sha256)
                yield bytes([chunk[0] ^ 1]) + chunk[1:]

    monkeypatch.setattr(FilePart, "chunks", chunks)
    path = file(tmp_path, size)
    async with open_bucket((store if tls else plain).settings) as bucket:
        await upload(bucket, path, "changed", content_type=TYPE, metadata={})
        assert await back(bucket, "changed", tmp_path) == path.read_bytes()
    # Who could change it on the way without TLS could change a CRC, too.
    assert (changed == [UNSIGNED]) is tls


@pytest.mark.parametrize("share", [0.1, pytest.param(1.0, marks=pytest.mark.long)])
async def test_a_store_that_is_away_for_a_minute_loses_nothing(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    """The pauses are a tenth of the real ones, and so is the minute, but for the long test."""
    pauses = [pause * share for pause in patience.PAUSES]
    monkeypatch.setattr(transfer, "patiently", lambda attempt: patience.patiently(attempt, pauses))
    path, statuses = file(tmp_path, 2 * PART), (500, 503)
    async with open_bucket(proxy.settings) as bucket:
        began = time.monotonic()

        def away(asked: Asked) -> Fault | None:
            late = time.monotonic() - began > 60 * share
            return None if late or part_of(asked) != 2 else Fault(status=statuses[asked.number % 2])

        proxy.rule = away
        await upload(bucket, path, "k", content_type=TYPE, metadata={})
        proxy.rule = lambda asked: None
        assert await back(bucket, "k", tmp_path) == path.read_bytes()


async def test_a_store_that_stays_away_is_given_up_and_keeps_no_parts(
    proxy: Proxy, plain: Gateway, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "patiently", lambda attempt: patience.patiently(attempt, (0.0, 0.0)))
    proxy.rule = lambda asked: Fault(status=503) if part_of(asked) == 2 else None
    async with open_bucket(proxy.settings) as bucket:
        with pytest.raises(S3Error, match=r"cannot write part 2 of s3://snapshots/k: .*\(HTTP 503\)"):
            await upload(bucket, file(tmp_path, 3 * PART), "k", content_type=TYPE, metadata={})
        assert await bucket.unfinished("") == []
    assert plain.parts() == [] and plain.files() == []


async def test_an_end_whose_answer_is_lost_is_one(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "patiently", lambda attempt: patience.patiently(attempt, (0.0, 0.0)))
    lost = iter([Fault(cut=1, of_answer=True)])
    proxy.rule = lambda asked: (
        next(lost, None) if asked.method == "POST" and "uploadId=" in asked.target else None
    )
    path = file(tmp_path, PART + 1)
    async with open_bucket(proxy.settings) as bucket:
        await upload(bucket, path, "k", content_type=TYPE, metadata={})
        assert await back(bucket, "k", tmp_path) == path.read_bytes()


async def test_a_download_goes_on_where_it_was_cut(
    proxy: Proxy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "patiently", lambda attempt: patience.patiently(attempt, (0.0, 0.0)))
    path = file(tmp_path, 2 * PART)
    async with open_bucket(proxy.settings) as bucket:
        await upload(bucket, path, "k", content_type=TYPE, metadata={})
        cuts = iter([Fault(cut=PART, of_answer=True), Fault(cut=PART // 2, of_answer=True)])
        proxy.rule = lambda asked: next(cuts, None) if asked.method == "GET" else None
        assert await back(bucket, "k", tmp_path) == path.read_bytes()


async def test_what_a_killed_process_began_is_removed(store: Gateway, tmp_path: Path) -> None:
    async with open_bucket(store.settings) as bucket:
        mine, other = await bucket.begin("f/s-n-1", {}), await bucket.begin("f/s-other-1", {})
        with file(tmp_path, 1).open("rb") as opened:
            await bucket.put_part("f/s-n-1", mine, 1, FilePart.read(opened.fileno(), 0, 1, signed=False))
        await give_up_unfinished(bucket, "f/s-n-")
        assert await bucket.unfinished("f/") == [("f/s-other-1", other)]
        await bucket.abort("f/s-other-1", other)


async def test_a_plain_web_server_is_told(tmp_path: Path, proxy: Proxy) -> None:
    for status in (200, 404, 405):
        proxy.rule = lambda asked, status=status: Fault(status=status)  # type: ignore[misc]
        async with open_bucket(proxy.settings) as bucket:
            with pytest.raises(
                S3Error, match=rf"what answers there is not an S3 object store \(HTTP {status}"
            ):
                await bucket.page("")
