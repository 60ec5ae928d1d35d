"""The load balancers' state file is shared with other releases of RKE2: an upgrade must find the servers."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2.loadbalancer import remembered

URL = "https://10.0.0.1:9345"
FILE = """{
  "ServerURL": "https://10.0.0.1:9345",
  "ServerAddresses": [
    "10.0.0.1:9345",
    "10.0.0.2:9345"
  ]
}"""


def test_file(tmp_path: Path) -> None:
    path = tmp_path / "rke2-agent-load-balancer.json"
    remembered.save(path, URL, ("10.0.0.1:9345", "10.0.0.2:9345"))
    assert path.read_text() == FILE


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        (FILE, ("10.0.0.1:9345", "10.0.0.2:9345")),
        (FILE.replace('"ServerURL"', '"Listener": null,\n  "ServerURL"'), ("10.0.0.1:9345", "10.0.0.2:9345")),
        ('{"ServerURL":"https://10.0.0.1:9345","ServerAddresses":null}', ()),
        ('{"ServerURL":"https://10.0.0.1:9345","ServerAddresses":[]}', ()),
    ],
    ids=["current", "with listener", "null", "empty"],
)
def test_files_of_other_releases(
    text: str, servers: tuple[str, ...], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "rke2-agent-load-balancer.json"
    path.write_text(text)
    assert remembered.load(path, URL) == servers
    assert caplog.text == ""
