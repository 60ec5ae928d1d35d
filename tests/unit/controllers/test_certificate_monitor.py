"""Which certificates are worth an event."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rke2.config.model import ComponentSettings
from rke2.controllers.certificate_monitor import (
    CertificateFinding,
    Reason,
    certificate_files,
    examine,
    messages,
)
from tests.authorities import certify, new_key, pem
from tests.configs import paths_under, server_config

NOW = datetime.now(UTC)
KEY = new_key()


def write(path: Path, days: float, *, ca: bool, name: str = "x") -> bytes:
    certificate = certify(name, KEY, name, KEY, ca=ca, end=NOW + timedelta(days=days))
    path.write_bytes(pem(certificate))
    return path.read_bytes()


@pytest.mark.parametrize(
    ("ca", "days", "reasons"),
    [
        (False, 121, []),
        (False, 119, [Reason.LEAF]),
        (True, 366, []),
        (True, 364, [Reason.AUTHORITY]),
    ],
)
def test_limits(tmp_path: Path, ca: bool, days: float, reasons: list[Reason]) -> None:
    file = tmp_path / "a.crt"
    write(file, days, ca=ca)
    assert [finding.reason for finding in examine([file], NOW)] == reasons


def test_a_finding_names_file_subject_and_day(tmp_path: Path) -> None:
    write(tmp_path / "a.crt", 10, ca=False, name="kubelet")
    day = (NOW + timedelta(days=10)).strftime("%Y-%m-%d")
    assert [f.text for f in examine([tmp_path / "a.crt"], NOW)] == [f"a.crt (CN=kubelet) expires on {day}"]
    later = NOW + timedelta(days=11)
    assert [f.text for f in examine([tmp_path / "a.crt"], later)] == [f"a.crt (CN=kubelet) expired on {day}"]


def test_a_chain_is_examined_to_its_end_and_a_shared_authority_told_once(tmp_path: Path) -> None:
    authority = write(tmp_path / "ca.crt", 10, ca=True)
    for name in ("a", "b"):
        own = write(tmp_path / f"{name}.crt", 300, ca=False)
        (tmp_path / f"{name}.crt").write_bytes(own + authority)
    files = [tmp_path / f"{name}.crt" for name in ("a", "b", "ca")]
    assert [finding.reason for finding in examine(files, NOW)] == [Reason.AUTHORITY]


def test_a_missing_file_is_nothing_and_a_broken_one_is_told(tmp_path: Path) -> None:
    (tmp_path / "broken.crt").write_text("?")
    found = examine([tmp_path / "missing.crt", tmp_path / "broken.crt"], NOW)
    assert [finding.reason for finding in found] == [Reason.LEAF]
    assert "broken.crt" in found[0].text


def test_events() -> None:
    assert [(kind, reason) for kind, reason, _ in messages([], told_fine=False)] == [
        ("Normal", "CertificateExpirationOK")
    ]
    assert messages([], told_fine=True) == []
    found = [
        CertificateFinding(Reason.LEAF, "a"),
        CertificateFinding(Reason.AUTHORITY, "c"),
        CertificateFinding(Reason.LEAF, "b"),
    ]
    leaf, authority = messages(found, told_fine=True)
    assert leaf[:2] == ("Warning", "CertificateExpirationWarning") and leaf[2].endswith(": a; b")
    assert authority[:2] == ("Warning", "CACertificateExpirationWarning") and authority[2].endswith(": c")


def test_files_of_a_node(tmp_path: Path) -> None:
    paths = paths_under(tmp_path)
    files = set(certificate_files(server_config(paths)))
    assert {paths.agent / "client-kubelet.crt", paths.tls / "server-ca.crt"} <= files
    assert paths.tls / "etcd/server-client.crt" in files
    without = server_config(paths, components={"etcd": ComponentSettings(disabled=True)})
    assert set(certificate_files(without)) == files - {
        paths.tls / "etcd/server-client.crt",
        paths.tls / "etcd/peer-server-client.crt",
    }
