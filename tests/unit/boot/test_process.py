"""The process around a boot, with phases of the test's own: what ends it, what begins it again, what it tells."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from rke2.boot.process import Boot, StartAgain, run_node
from rke2.config.model import NodeConfig
from rke2.errors import ComponentError, HostError, InternalError, RKE2Error
from rke2.lifecycle import liveness
from rke2.lifecycle.liveness import Watched
from rke2.lifecycle.phases import Phase
from rke2.lifecycle.progress import ProcessStatus, read_status
from rke2.lifecycle.service import Policy
from tests.configs import paths_under, server_config

Step = Callable[[Boot], Awaitable[None]]


class Host:
    """Runs nodes whose boot is one phase."""

    def __init__(self, root: Path) -> None:
        self.config: NodeConfig = server_config(paths_under(root))
        self.boots = 0

    def run(self, step: Step) -> int:
        def phases(boot: Boot) -> list[Phase]:
            self.boots += 1
            return [Phase("all", (), "nothing", lambda: step(boot))]

        return run_node("server", self.config, phases)

    @property
    def status(self) -> ProcessStatus:
        found = read_status(self.config.paths.status)
        assert found
        return found


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    monkeypatch.setattr(liveness, "INTERVAL", 0.02)
    monkeypatch.setattr(liveness, "SOON", 0.02)
    return Host(tmp_path)


async def _forever() -> None:
    await asyncio.Event().wait()


async def _end() -> None:
    """What the service manager does."""
    os.kill(os.getpid(), signal.SIGTERM)
    await _forever()


def test_a_signal_ends_it_in_good_order(host: Host) -> None:
    ended: list[str] = []

    def lasting(name: str) -> Callable[[], Awaitable[None]]:
        async def work() -> None:
            try:
                await _forever()
            finally:
                ended.append(name)

        return work

    async def step(boot: Boot) -> None:
        boot.services.keep("first", lasting("first"), Policy.RESTART)
        boot.services.keep("second", lasting("second"), Policy.END_NODE)
        boot.services.keep("end", _end, Policy.RESTART)

    assert host.run(step) == 0
    assert ended == ["second", "first"]
    assert host.status.stopping and not host.status.ready


def test_a_signal_in_the_middle_of_the_boot_ends_it(host: Host) -> None:
    assert host.run(lambda boot: _end()) == 0
    assert host.status.phases[0].state == "cancelled"


def test_a_service_that_the_node_cannot_do_without_ends_it(host: Host) -> None:
    async def containerd() -> None:
        raise ComponentError("containerd exited", "read its log")

    async def step(boot: Boot) -> None:
        boot.services.keep("containerd", containerd, Policy.END_NODE)

    with pytest.raises(ComponentError, match="containerd exited"):
        host.run(step)
    assert (host.status.error, host.status.remedy) == ("containerd exited", "read its log")
    assert host.status.services["containerd"].state == "failed"


def test_a_phase_that_fails_ends_it(host: Host) -> None:
    async def step(boot: Boot) -> None:
        raise ComponentError("no disk")

    with pytest.raises(ComponentError):
        host.run(step)
    assert host.status.phases[0].state == "failed"


@pytest.mark.parametrize("policy", Policy)
def test_a_service_may_begin_the_node_again(host: Host, policy: Policy) -> None:
    async def changed() -> None:
        raise StartAgain("the settings have changed")

    async def step(boot: Boot) -> None:
        boot.services.keep("settings", changed if host.boots == 1 else _end, policy)

    assert host.run(step) == 0
    assert host.boots == 2


def test_a_node_that_stays_silent_begins_again_and_is_ready_again(host: Host) -> None:
    asked: list[str] = []

    async def silent_after_the_first_answer() -> str:
        asked.append("")
        return "refused" if host.boots == 1 and len(asked) > 1 else ""

    async def mended(why: str) -> None:
        asked.append(why)

    async def end_when_ready(boot: Boot) -> None:
        while not boot.progress.status.ready:
            await asyncio.sleep(0.01)
        await _end()

    async def step(boot: Boot) -> None:
        boot.liveness.watch(Watched("port 9345", silent_after_the_first_answer, mended))
        if host.boots == 2:
            boot.services.keep("end", lambda: end_when_ready(boot), Policy.RESTART)

    assert host.run(step) == 0
    assert host.boots == 2
    assert asked.count("port 9345: refused") == 1


def test_it_is_not_ready_before_it_answers_itself(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(liveness, "FIRST_SECONDS", 0.1)

    async def refused() -> str:
        return "refused"

    async def step(boot: Boot) -> None:
        boot.liveness.watch(Watched("port 9345", refused, lambda why: asyncio.sleep(0)))

    with pytest.raises(ComponentError, match="port 9345: refused"):
        host.run(step)
    assert host.status.ready_after is None


def _groups(error: BaseException) -> list[BaseException]:
    """`error` alone, and in every shape in which task groups hand it on."""
    return [
        error,
        BaseExceptionGroup("one", [error]),
        BaseExceptionGroup("two", [error, ValueError("a consequence")]),
        BaseExceptionGroup(
            "nested", [BaseExceptionGroup("deeper", [error]), ComponentError("a consequence")]
        ),
    ]


UNFORESEEN = [
    (ComponentError("no disk", "buy one"), ComponentError, "no disk"),
    (PermissionError(13, "Permission denied", "/x"), HostError, "all: /x: Permission denied"),
    (ValueError("at most 64"), InternalError, "all: unexpected ValueError: at most 64 at test_process.py"),
    (KeyError(), InternalError, "all: unexpected KeyError at test_process.py"),
]


@pytest.mark.parametrize("shape", range(4))
@pytest.mark.parametrize(("error", "kind", "told"), UNFORESEEN, ids=lambda value: str(value)[:20])
def test_what_ends_a_phase_has_thing_and_remedy_and_is_no_group(
    host: Host, error: Exception, kind: type[RKE2Error], told: str, shape: int
) -> None:
    async def step(boot: Boot) -> None:
        try:
            raise error
        except Exception as raised:  # noqa: BLE001 - the tests' own
            raise _groups(raised)[shape] from None

    with pytest.raises(kind) as ended:
        host.run(step)
    assert ended.value.message.startswith(told) and ended.value.remedy
    assert (host.status.error, host.status.remedy) == (ended.value.message, ended.value.remedy)


@pytest.mark.parametrize("shape", range(4))
def test_what_ends_the_node_after_its_boot_is_no_group_either(host: Host, shape: int) -> None:
    async def fails() -> None:
        raise _groups(ZeroDivisionError("nothing"))[shape]

    async def step(boot: Boot) -> None:
        boot.services.keep("meter", fails, Policy.END_NODE)

    with pytest.raises(InternalError, match="unexpected ZeroDivisionError: nothing"):
        host.run(step)


def test_a_service_that_ends_although_nobody_told_it_to_is_named(host: Host) -> None:
    async def ends() -> None:
        return

    async def step(boot: Boot) -> None:
        boot.services.keep("meter", ends, Policy.END_NODE)

    with pytest.raises(RKE2Error, match="meter ended although nobody told it to"):
        host.run(step)
