from __future__ import annotations

from pathlib import Path

import pytest

from rke2.loadbalancer import remembered

URL = "https://join.example:9345"


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "new" / "lb.json"
    servers = ("10.0.0.1:9345", "[fd00::1]:9345")
    remembered.save(path, URL, servers)
    assert remembered.load(path, URL) == servers
    assert path.stat().st_mode & 0o777 == 0o600


def test_nothing_is_remembered_before_the_first_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    assert remembered.load(tmp_path / "lb.json", URL) == ()
    assert caplog.text == ""


@pytest.mark.parametrize("written", [f"{URL}/", "https://JOIN.example:9345", "https://join.example.:9345/v1"])
def test_rke2_remembers_the_server_as_the_operator_wrote_it(tmp_path: Path, written: str) -> None:
    remembered.save(tmp_path / "lb.json", written, ("10.0.0.1:9345",))
    assert remembered.load(tmp_path / "lb.json", URL) == ("10.0.0.1:9345",)


def test_the_list_of_another_server_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "lb.json"
    remembered.save(path, URL, ("10.0.0.1:9345",))
    assert remembered.load(path, "https://other:9345") == ()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"{}",
        b"\xff",
        b'{"ServerURL":"https://join.example:9345","ServerAddresses":7}',
        b'{"ServerURL":"https://join.example:9345","ServerAddresses":[1]}',
        b'{"ServerURL":"https://join.example:9345","ServerAddresses":["no port"]}',
    ],
)
def test_a_corrupt_file_is_ignored_with_a_warning(
    content: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "lb.json"
    path.write_bytes(content)
    assert remembered.load(path, URL) == ()
    assert str(path) in caplog.text


def test_a_file_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    remembered.save(tmp_path / "file" / "lb.json", URL, ())
    assert "cannot be written" in caplog.text
