from pathlib import Path

import pytest

from rke2.host.resolver import find, usable


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("nameserver 10.0.0.2\n", True),
        ("nameserver 2001:4860:4860::8888\nnameserver 1.1.1.1\n", True),
        ("", False),
        ("search example.com\n", False),
        ("# nameserver 1.1.1.1\n", False),
        ("nameserver 127.0.0.53\n", False),
        ("nameserver 1.1.1.1\nnameserver 127.0.0.1\n", False),
        ("nameserver ::1\n", False),
        ("nameserver 169.254.169.254\n", False),
        ("nameserver fe80::1%eth0\n", False),
        ("nameserver 0.0.0.0\n", False),
        ("nameserver\n", False),
        ("nameserver not-an-address\n", False),
    ],
)
def test_only_reachable_servers_are_usable(tmp_path: Path, text: str, good: bool) -> None:
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    assert usable(path) is good
    assert find((tmp_path / "absent", path)) == (path if good else None)
