"""How long answers to wrong secrets wait."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from rke2.supervisor.failed_logins import FailedLogins


@dataclass
class Clock:
    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def logins(clock: Clock) -> FailedLogins:
    return FailedLogins(clock=clock)


def test_each_failure_takes_longer_up_to_a_limit(logins: FailedLogins) -> None:
    waits = [logins.failed("192.0.2.1") for _ in range(100)]
    assert waits[:9] == [0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 2.0, 4.0, 5.0]
    assert set(waits[9:]) == {5.0}


def test_clients_are_told_apart(logins: FailedLogins) -> None:
    for _ in range(10):
        logins.failed("192.0.2.1")
    assert logins.failed("192.0.2.2") == 0.0


def test_a_quiet_client_is_forgiven(logins: FailedLogins, clock: Clock) -> None:
    for _ in range(10):
        logins.failed("192.0.2.1")
    clock.now += 599
    assert logins.failed("192.0.2.1") == 5.0
    clock.now += 600
    assert logins.failed("192.0.2.1") == 0.0


def test_only_so_many_clients_are_remembered(logins: FailedLogins) -> None:
    for _ in range(10):
        logins.failed("192.0.2.1")
    for number in range(4095):
        logins.failed(f"client {number}")
    assert logins.failed("192.0.2.1") == 5.0
    for number in range(10_000):
        logins.failed(f"further {number}")
    assert len(logins) == 4096
    assert logins.failed("192.0.2.1") == 0.0
