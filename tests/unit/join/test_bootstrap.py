from __future__ import annotations

import base64
import json
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2.errors import JoinError
from rke2.join import bootstrap
from rke2.join.bootstrap import FILES, BootstrapData, BootstrapEntry, format_timestamp, parse_timestamp
from rke2.join.reconcile import TOLERANCE_NS, decide, overwrite, reconcile

NS = 1_767_323_045_678_901_234
"""2026-01-02T03:04:05.678901234Z"""

entries = st.dictionaries(
    st.sampled_from(sorted(FILES)),
    st.builds(BootstrapEntry, st.binary(min_size=1, max_size=30), st.integers(1, 4 * 10**18)),
)


def full(content: bytes = b"content", modified_ns: int = NS) -> BootstrapData:
    return BootstrapData({key: BootstrapEntry(content + key.encode(), modified_ns) for key in FILES})


# --- timestamps ------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("2026-01-02T03:04:05.678901234Z", NS),
        ("2026-01-02T03:04:05.6Z", NS // 10**9 * 10**9 + 600_000_000),
        ("2026-01-02T03:04:05Z", NS // 10**9 * 10**9),
        ("1970-01-01T00:00:00Z", 0),
    ],
)
def test_timestamps_as_go_writes_them(text: str, nanoseconds: int) -> None:
    assert format_timestamp(nanoseconds) == text
    assert parse_timestamp(text) == nanoseconds


def test_timestamps_of_other_zones_and_of_no_time() -> None:
    assert parse_timestamp("2026-01-02T05:34:05.678901234+02:30") == NS
    assert parse_timestamp("2026-01-01T22:04:05.678901234-05:00") == NS
    assert parse_timestamp("0001-01-01T00:00:00Z") == 0


@given(st.integers(0, 8 * 10**18))
def test_timestamps_survive(nanoseconds: int) -> None:
    assert parse_timestamp(format_timestamp(nanoseconds)) == nanoseconds


@given(st.text())
def test_no_timestamps(text: str) -> None:
    with pytest.raises(ValueError, match="not a timestamp"):
        parse_timestamp(text)


# --- JSON ------------------------------------------------------------------------------------------
@given(entries)
def test_the_map_survives(found: dict[str, BootstrapEntry]) -> None:
    assert BootstrapData.from_json(BootstrapData(found).to_json()).entries == found


def test_the_form_of_the_map() -> None:
    text = BootstrapData({"ServerCA": BootstrapEntry(b"pem", NS)}).to_json()
    assert text == b'{"ServerCA":{"Timestamp":"2026-01-02T03:04:05.678901234Z","Content":"cGVt"}}'


def test_the_legacy_form() -> None:
    text = json.dumps({"ServerCA": base64.b64encode(b"pem").decode(), "ClientCA": "", "Unknown": "eA=="})
    assert BootstrapData.from_json(text.encode()).entries == {"ServerCA": BootstrapEntry(b"pem", 0)}


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"null",
        b'{"ServerCA":7}',
        b'{"ServerCA":{}}',
        b'{"ServerCA":"?"}',
        b"[" * 100_000,
        b"\xff",
        b'{"ServerCA":{"Timestamp":"now","Content":""}}',
        b'{"ServerCA":{"Timestamp":7,"Content":"cGVt"}}',
    ],
)
def test_what_is_no_map(text: bytes) -> None:
    with pytest.raises(JoinError, match="bootstrap data is not readable"):
        BootstrapData.from_json(text)


# --- files -----------------------------------------------------------------------------------------
def test_files_survive_with_their_times(tmp_path: Path) -> None:
    server = tmp_path / "server"
    full().write(server)
    assert BootstrapData.read(server) == full()
    for file in FILES.values():
        path = server / file.path
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert full().write(server) == []


@pytest.mark.parametrize("written", range(len(FILES)))
def test_who_is_killed_while_writing_has_no_certificate_without_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: int
) -> None:
    left = iter(range(written))

    def killed(path: Path, content: bytes, *arguments: object, **options: object) -> bool:
        if next(left, None) is None:
            raise KeyboardInterrupt
        path.write_bytes(content)
        return True

    monkeypatch.setattr(bootstrap, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        full().write(tmp_path)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == written
    assert all(path.with_suffix(".key").exists() for path in tmp_path.rglob("*.crt"))


def test_missing_and_empty_files_are_left_out(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    full().write(tmp_path)
    (tmp_path / "cred/passwd").unlink()
    (tmp_path / "cred/ipsec.psk").write_bytes(b"")
    assert set(FILES) - set(BootstrapData.read(tmp_path).entries) == {"PasswdFile", "IPSECKey"}
    assert "cred/passwd, cred/ipsec.psk" in caplog.text


def test_what_may_be_rotated() -> None:
    kept = {key for key, file in FILES.items() if not file.rotatable}
    assert kept == {"PasswdFile", "IPSECKey", "EncryptionConfig", "EncryptionHash", "AgentTokenSalt"}
    assert len(FILES) == 16


# --- reconcile -------------------------------------------------------------------------------------
def test_nothing_to_do() -> None:
    assert decide(full(), full(modified_ns=NS + TOLERANCE_NS).entries).reasons == ()


def test_a_missing_file() -> None:
    disk = dict(full().entries)
    del disk["ServiceKey"]
    decision = decide(full(), disk)
    assert (decision.reasons, decision.newer) == (("tls/service.key is missing",), ())


@pytest.mark.parametrize(("ahead", "newer"), [(TOLERANCE_NS, True), (TOLERANCE_NS - 1, False), (-1, False)])
def test_a_difference_is_judged_by_time(ahead: int, newer: bool) -> None:
    disk = {**full().entries, "ClientCA": BootstrapEntry(b"other", NS + ahead)}
    decision = decide(full(), disk)
    assert decision.newer == (("tls/client-ca.crt",) if newer else ())
    assert decision.reasons == (() if newer else ("tls/client-ca.crt differs",))


def test_a_bare_server_takes_everything() -> None:
    disk = {"ClientCA": BootstrapEntry(b"other", NS + TOLERANCE_NS)}
    assert decide(full(), disk, bare=True).newer == ()
    assert decide(full(), disk, bare=True).reasons


@pytest.mark.parametrize("directory", ["cred", "tls", "tls/etcd"])
def test_an_empty_directory_makes_a_server_bare(tmp_path: Path, directory: str) -> None:
    full().write(tmp_path)
    disagreeing = full(b"mine", NS + 10 * TOLERANCE_NS)
    disagreeing.write(tmp_path)
    for path in (tmp_path / directory).rglob("*"):
        if path.is_file():
            path.unlink()
    for path in (tmp_path / directory).iterdir():
        path.rmdir()
    reconcile(full(), tmp_path)
    assert BootstrapData.read(tmp_path) == full()


def test_newer_files_stop_the_server_and_nothing_is_written(tmp_path: Path) -> None:
    full().write(tmp_path)
    (tmp_path / "tls/service.key").unlink()
    for name in ("tls/server-ca.crt", "cred/passwd"):
        (tmp_path / name).write_bytes(b"mine")
        os.utime(tmp_path / name, ns=(NS + TOLERANCE_NS, NS + TOLERANCE_NS))
    with pytest.raises(JoinError, match=r"newer than datastore and could cause a cluster outage") as caught:
        reconcile(full(), tmp_path)
    assert f"{tmp_path}/tls/server-ca.crt, {tmp_path}/cred/passwd newer" in caught.value.message
    assert caught.value.final
    assert not (tmp_path / "tls/service.key").exists()


def test_one_difference_rewrites_the_full_set(tmp_path: Path) -> None:
    full().write(tmp_path)
    (tmp_path / "tls/service.key").write_bytes(b"old")
    os.utime(tmp_path / "tls/service.key", ns=(NS, NS))
    os.utime(tmp_path / "cred/passwd", ns=(1, 1))
    assert reconcile(full(), tmp_path) == [tmp_path / "tls/service.key"]
    assert BootstrapData.read(tmp_path) == full()


def test_a_reset_keeps_a_copy_and_is_never_refused(tmp_path: Path) -> None:
    full(b"mine", NS + 10 * TOLERANCE_NS).write(tmp_path)
    backup = overwrite(full(), tmp_path)
    assert backup is not None
    assert (backup / "etcd/peer-ca.key").read_bytes() == b"mineETCDPeerCAKey"
    assert BootstrapData.read(tmp_path) == full()
