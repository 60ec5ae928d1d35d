"""Which etcd a server starts: the one that ran its data, until it is confirmed that they may be raised."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rke2.config.model import ComponentSettings, NodeConfig, ResetSettings
from rke2.errors import HostError
from rke2.etcd import held
from rke2.etcd.member_files import set_aside_former
from rke2.etcd.minor import EtcdMinor
from rke2.etcd.ran import EtcdImage, EtcdRecord, read_record, record_file, with_run, write_record
from tests.configs import paths_under, server_config

OLD = EtcdImage("docker.io/x/hardened-etcd:v3.6.14", "3.6.14", "sha256:0")
NEW = EtcdImage("docker.io/x/hardened-etcd:v3.7.3", "3.7.3", "sha256:1")
V36, V37 = EtcdMinor(3, 6), EtcdMinor(3, 7)


@pytest.fixture
def storage(monkeypatch: pytest.MonkeyPatch) -> dict[str, EtcdMinor | None]:
    """What the database says; `tests/integration/etcd` reads real ones."""
    known: dict[str, EtcdMinor | None] = {"version": V36}
    monkeypatch.setattr(held, "storage_version", lambda paths: known["version"])
    return known


@pytest.fixture
def config(tmp_path: Path) -> NodeConfig:
    """A server with data, whose release brings etcd 3.7."""
    made = server_config(paths_under(tmp_path), components={"etcd": ComponentSettings(image=NEW.image)})
    (made.paths.etcd / "member" / "wal").mkdir(parents=True)
    return made


@pytest.mark.parametrize(
    ("reference", "minor"),
    [
        ("docker.io/rke2py/hardened-etcd:v3.7.3", V37),
        ("rancher/hardened-etcd:v3.6.7-k3s1-build20251210", V36),
        ("registry:5000/etcd:3.6.1@sha256:00", V36),
        ("registry:5000/etcd", None),
        ("registry/etcd:latest", None),
        ("registry/etcd:v36.1", EtcdMinor(36, 1)),
    ],
)
def test_the_minor_of_an_image_is_in_its_tag(reference: str, minor: EtcdMinor | None) -> None:
    assert EtcdMinor.of_image(reference) == minor


@pytest.mark.parametrize(
    ("record", "storage", "brought", "expected"),
    [
        (EtcdRecord(OLD), V36, V37, OLD),
        (EtcdRecord(OLD), None, V37, OLD),
        (EtcdRecord(OLD, confirmed="3.7"), V36, V37, None),
        # Confirmed for an upgrade that was left out in the end.
        (EtcdRecord(OLD, confirmed="3.7"), V36, EtcdMinor(3, 8), OLD),
        # The others have raised the data: the former one would not start.
        (EtcdRecord(OLD), V37, V37, None),
        (EtcdRecord(OLD), V36, V36, None),
        # The way back of a server whose cluster still has members of the former etcd.
        (EtcdRecord(NEW, former=OLD), V36, V36, None),
        (EtcdRecord(NEW), V37, V37, None),
        (None, V36, V37, None),
        (EtcdRecord(EtcdImage("x/etcd:mine", "mine")), V36, V37, None),
        (EtcdRecord(OLD), V36, None, None),
    ],
)
def test_what_is_held(
    record: EtcdRecord | None,
    storage: EtcdMinor | None,
    brought: EtcdMinor | None,
    expected: EtcdImage | None,
) -> None:
    assert held.to_hold(record, storage, brought) == expected


def test_a_server_goes_on_with_the_former_etcd(config: NodeConfig, storage: object) -> None:
    write_record(config.paths, EtcdRecord(OLD))
    now = held.configured(config)
    assert now.component("etcd").image == OLD.image
    assert now.server and now.server.held_etcd
    assert (now.server.held_etcd.version, now.server.held_etcd.brought) == ("3.6.14", NEW.image)


def test_a_release_that_wrote_no_record_left_its_manifest(config: NodeConfig, storage: object) -> None:
    manifest = config.paths.pod_manifest("etcd")
    manifest.parent.mkdir(parents=True)
    manifest.write_text(f"spec:\n  containers:\n  - name: etcd\n    image: {OLD.image}\n")
    assert held.configured(config).component("etcd").image == OLD.image


def test_a_new_member_has_the_release_s_etcd(tmp_path: Path, storage: object) -> None:
    made = server_config(paths_under(tmp_path), components={"etcd": ComponentSettings(image=NEW.image)})
    made.paths.etcd.parent.mkdir(parents=True)
    write_record(made.paths, EtcdRecord(OLD))
    assert held.configured(made) == made


def test_a_confirmed_server_has_the_release_s_etcd(config: NodeConfig, storage: object) -> None:
    write_record(config.paths, EtcdRecord(OLD, confirmed="3.7"))
    assert held.configured(config) == config


def test_data_of_a_later_etcd_are_refused_in_words(
    config: NodeConfig, storage: dict[str, EtcdMinor | None]
) -> None:
    storage["version"] = V37
    back = replace(config, components={"etcd": ComponentSettings(image=OLD.image)})
    with pytest.raises(
        HostError, match=r"are of etcd 3\.7, and etcd 3\.6 of this release does not start on them"
    ):
        held.configured(back)


def test_a_restore_is_the_way_back_and_not_refused(
    config: NodeConfig, storage: dict[str, EtcdMinor | None]
) -> None:
    storage["version"] = V37
    back = replace(config, components={"etcd": ComponentSettings(image=OLD.image)})
    assert back.server
    back = replace(back, server=replace(back.server, reset=ResetSettings(Path("/snapshot"))))
    assert held.configured(back) == back


def test_a_reset_on_a_held_server_has_the_former_etcd_too(config: NodeConfig, storage: object) -> None:
    """The etcd that looks into restored data for a moment would raise them."""
    write_record(config.paths, EtcdRecord(OLD))
    assert config.server
    reset = replace(config, server=replace(config.server, reset=ResetSettings(Path("/snapshot"))))
    assert held.configured(reset).component("etcd").image == OLD.image


def test_the_record_goes_with_the_data(config: NodeConfig) -> None:
    write_record(config.paths, EtcdRecord(OLD))
    assert set_aside_former(config.paths)
    assert not record_file(config.paths).exists()


def test_a_damaged_record_counts_as_missing(config: NodeConfig) -> None:
    record_file(config.paths).write_text("{")
    assert read_record(config.paths) is None


@pytest.mark.parametrize(
    ("before", "now", "is_held", "after"),
    [
        (None, NEW, False, EtcdRecord(NEW)),
        (EtcdRecord(OLD), OLD, False, EtcdRecord(OLD)),
        # Raised: the one before is kept for the way back.
        (EtcdRecord(OLD, confirmed="3.7"), NEW, False, EtcdRecord(NEW, former=OLD)),
        (EtcdRecord(NEW, former=OLD), NEW, False, EtcdRecord(NEW, former=OLD)),
        # A note that is written late takes nothing back that was confirmed meanwhile.
        (EtcdRecord(OLD, confirmed="3.7"), OLD, True, EtcdRecord(OLD, confirmed="3.7")),
        # Back on the former release: the next way forward is confirmed again.
        (EtcdRecord(OLD, confirmed="3.7"), OLD, False, EtcdRecord(OLD)),
        (EtcdRecord(NEW, former=OLD), OLD, False, EtcdRecord(OLD)),
    ],
)
def test_what_is_noted_of_a_run(
    before: EtcdRecord | None, now: EtcdImage, is_held: bool, after: EtcdRecord
) -> None:
    assert with_run(before, now, held=is_held) == after
