"""What a start makes of an open upgrade: judged from the journal, and done with real files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.errors import ConfigError, HostError
from rke2.host.lock import exclusive
from rke2.installation import exchange, journal
from rke2.installation.begin import lock_of
from rke2.installation.datastore import no_way_back
from rke2.installation.journal import FilePlace, Journal, Step
from rke2.installation.start import Start, guarded, judge

OLD, NEW = "v1.36.4+rke2py1", "v1.37.2+rke2py1"


def _journal(step: Step, **changes: object) -> Journal:
    return Journal(NEW, OLD, step, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "started", "own", "start"),
    [
        ("staging", False, OLD, Start.NOTE),
        ("staged", False, OLD, Start.AS_EVER),
        ("keeping", False, OLD, Start.NOTE),
        ("switching", False, OLD, Start.PUT_BACK),
        ("switching", False, NEW, Start.PUT_BACK),
        ("proving", False, NEW, Start.ON_TRIAL),
        ("proving", True, NEW, Start.PUT_BACK),
        ("proving", False, OLD, Start.PUT_BACK),
        ("rolling-back", False, NEW, Start.PUT_BACK),
        ("rolling-back", True, OLD, Start.PUT_BACK),
        ("rolled-back", True, OLD, Start.AS_EVER),
        ("failed", False, OLD, Start.AS_EVER),
        ("done", True, NEW, Start.AS_EVER),
    ],
)
def test_what_a_start_does(step: Step, started: bool, own: str, start: Start) -> None:
    verdict = judge(_journal(step, started=started, reason="the disk was full"), own)
    assert verdict.start is start
    assert bool(verdict.reason) is (start in (Start.PUT_BACK, Start.NOTE))


def test_where_there_is_no_way_back_the_release_stays_on_trial() -> None:
    """etcd's data are the new ones: the former release would not start at all."""
    state = _journal("proving", started=True, no_way_back="etcd's data were 3.6.0 and are 3.7.0 now")
    assert judge(state, NEW).start is Start.ON_TRIAL


@pytest.mark.parametrize(
    ("before", "now", "told"),
    [
        ("3.6.0", "3.6.0", False),
        ("3.6.0", "3.7.0", True),
        ("3.6.0", "", False),
        ("", "3.7.0", False),
        ("3.7.0", "3.6.0", False),
    ],
)
def test_the_way_back_ends_where_etcds_data_are_newer(before: str, now: str, told: bool) -> None:
    assert bool(no_way_back(_journal("proving", storage=before), now)) is told


def test_a_node_that_was_never_upgraded_starts_as_ever() -> None:
    assert judge(None, OLD).start is Start.AS_EVER


def test_a_rollback_that_is_gone_on_with_keeps_its_first_reason() -> None:
    assert judge(_journal("rolling-back", reason="the disk was full"), NEW).reason == "the disk was full"


class Installed:
    """An installation of two files, of which the second is new; switched to, or about to be."""

    def __init__(self, root: Path) -> None:
        self.paths = Paths(data_dir=root / "dd", config_dir=root / "etc")
        self.program, self.added = root / "usr/bin/rke2", root / "usr/share/rke2/added"
        source = root / "new"
        source.mkdir()
        self.program.parent.mkdir(parents=True)
        self.program.write_text("old")
        for name in ("rke2", "added"):
            (source / name).write_text("new")
        journal.directory(self.paths.data_dir).mkdir(parents=True)
        self.places = exchange.keep(
            self.paths.data_dir,
            [
                FilePlace(str(source / "rke2"), str(self.program)),
                FilePlace(str(source / "added"), str(self.added)),
            ],
        )

    def at(self, step: Step, **changes: object) -> None:
        """The files switched, the journal at `step`."""
        exchange.switch(self.places)
        journal.advance(self.paths.data_dir, _journal(step, places=self.places, **changes), step)

    def start(self, work: Callable[[], int], own: str = NEW) -> int:
        return guarded(self.paths.data_dir, own, work)

    @property
    def state(self) -> Journal:
        found = journal.read(self.paths.data_dir)
        assert found
        return found

    @property
    def is_former(self) -> bool:
        return self.program.read_text() == "old" and not self.added.exists()


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    return Installed(tmp_path)


def _fails() -> int:
    raise ConfigError("kube-apiserver-arg: no such flag")


def test_a_release_that_ends_by_an_error_is_rolled_back(installed: Installed) -> None:
    installed.at("proving")
    with pytest.raises(
        HostError, match=r"rolled back to v1\.36\.4\+rke2py1: kube-apiserver-arg: no such flag"
    ):
        installed.start(_fails)
    assert installed.is_former
    assert (installed.state.step, installed.state.reason) == (
        "rolled-back",
        "kube-apiserver-arg: no such flag",
    )


def test_a_release_that_ends_by_a_fault_of_ours_is_rolled_back(installed: Installed) -> None:
    installed.at("proving")

    def work() -> int:
        raise ZeroDivisionError("a fault")

    with pytest.raises(HostError, match="unexpected ZeroDivisionError"):
        installed.start(work)
    assert installed.is_former


@pytest.mark.parametrize("step", ["switching", "rolling-back"])
def test_a_start_in_the_middle_of_an_exchange_puts_back(installed: Installed, step: Step) -> None:
    installed.at(step, reason="the disk was full")
    with pytest.raises(HostError, match="rolled back"):
        installed.start(lambda: pytest.fail("it must not start"), OLD)
    assert installed.is_former and installed.state.step == "rolled-back"


@pytest.mark.parametrize("step", ["staging", "keeping"])
def test_a_start_after_a_power_cut_before_the_exchange_notes_it(installed: Installed, step: Step) -> None:
    journal.advance(installed.paths.data_dir, _journal(step, places=installed.places), step)
    assert installed.start(lambda: 0, OLD) == 0
    assert installed.is_former and installed.state.step == "failed"
    assert installed.state.reason == f"it was cut off at {step}; nothing was exchanged"
    assert not installed.state.told


def test_a_start_beside_an_upgrade_that_is_prepared_changes_nothing(installed: Installed) -> None:
    journal.advance(installed.paths.data_dir, _journal("staging"), "staging")
    with exclusive(lock_of(installed.paths)):
        assert installed.start(lambda: 0, OLD) == 0
    assert installed.state.step == "staging"


def test_a_start_after_a_power_cut_on_trial_puts_back(installed: Installed) -> None:
    installed.at("proving")
    child = os.fork()
    if not child:
        installed.start(lambda: os._exit(9))
    os.waitpid(child, 0)
    assert installed.state.started
    with pytest.raises(HostError, match="cut off"):
        installed.start(lambda: pytest.fail("it must not start"))
    assert installed.is_former


def test_a_node_that_is_told_to_end_goes_on_proving_itself(installed: Installed) -> None:
    installed.at("proving")
    assert installed.start(lambda: 0) == 0
    assert installed.state.step == "proving" and not installed.state.started
    assert installed.start(lambda: 0) == 0


def test_what_fails_after_the_proof_is_no_reason_to_go_back(installed: Installed) -> None:
    installed.at("proving")

    def work() -> int:
        journal.advance(installed.paths.data_dir, installed.state, "done")
        return _fails()

    with pytest.raises(ConfigError):
        installed.start(work)
    assert installed.state.step == "done" and not installed.is_former


def test_without_a_way_back_an_error_changes_no_file(installed: Installed) -> None:
    installed.at("proving", no_way_back="etcd's data were 3.6.0 and are 3.7.0 now")
    with pytest.raises(ConfigError):
        installed.start(_fails)
    assert installed.state.step == "proving" and not installed.is_former


def test_a_second_start_beside_the_one_on_trial_changes_nothing(installed: Installed) -> None:
    installed.at("proving", started=True)
    installed.paths.data_dir.mkdir(exist_ok=True)
    with exclusive(installed.paths.lock):
        assert installed.start(lambda: 7) == 7
    assert installed.state.step == "proving" and installed.state.started
