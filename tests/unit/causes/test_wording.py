from __future__ import annotations

import pytest

from rke2.causes.wording import LONGEST, gist

EARLY = "tls: failed to verify certificate: x509: certificate has expired or is not yet valid: current time "


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("as it is", "as it is"),
        ("two\n  lines", "two lines"),
        ("rpc error: code = NotFound desc = no such thing", "no such thing"),
        (f'task "{"ab" * 32}" is gone', 'task "…" is gone'),
        (
            f"{EARLY}2026-11-30T05:00:00Z is before 2026-11-30T08:12:00Z",
            f"{EARLY}2026-11-30T05:00:00Z is before 2026-11-30T08:12:00Z "
            "(a clock is at least 3h12m behind: set the clocks)",
        ),
        (
            f"{EARLY}2027-11-30T05:00:00Z is after 2026-11-30T08:12:00Z",
            f"{EARLY}2027-11-30T05:00:00Z is after 2026-11-30T08:12:00Z",
        ),
        (f"{EARLY}yesterday is before today", f"{EARLY}yesterday is before today"),
    ],
)
def test_gist(message: str, words: str) -> None:
    assert gist(message) == words


def test_another_port_at_every_attempt_is_the_same_message() -> None:
    one, two = (
        f"read udp 10.89.0.10:{port}->10.89.0.1:53: read: connection refused" for port in (42421, 58930)
    )
    assert gist(one) == gist(two)


def test_no_message_is_endless() -> None:
    assert len(gist("x" * 10_000)) == LONGEST
