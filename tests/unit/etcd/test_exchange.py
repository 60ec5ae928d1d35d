"""What a server says of its etcd, and when it goes on with another one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from rke2.config.model import ComponentSettings, HeldEtcd, NodeConfig
from rke2.etcd import exchange
from rke2.etcd.exchange import EtcdExchange, EtcdWish, ExchangeRefusedError
from rke2.etcd.minor import EtcdMinor
from rke2.etcd.ran import EtcdRecord, read_record, write_record
from tests.configs import paths_under, server_config
from tests.unit.etcd.test_held import NEW, OLD, V36, V37


@pytest.fixture
def raised(tmp_path: Path) -> NodeConfig:
    made = server_config(paths_under(tmp_path), components={"etcd": ComponentSettings(image=NEW.image)})
    made.paths.etcd.mkdir(parents=True)
    write_record(made.paths, EtcdRecord(NEW, former=OLD))
    return made


@pytest.fixture
def holding(raised: NodeConfig) -> NodeConfig:
    assert raised.server
    write_record(raised.paths, EtcdRecord(OLD))
    return replace(
        raised,
        components={"etcd": ComponentSettings(image=OLD.image)},
        server=replace(raised.server, held_etcd=HeldEtcd("3.6.14", "", NEW.image)),
    )


async def test_a_server_that_holds_back_is_raised_by_a_word(holding: NodeConfig) -> None:
    own = EtcdExchange(holding)
    assert (own.choice().held, own.choice().brought) == (True, NEW.image)
    own.go_on_with(EtcdWish("3.7"))
    assert read_record(holding.paths) == EtcdRecord(OLD, confirmed="3.7")
    assert own.wanted.result() == "etcd goes on as 3.7"


@pytest.mark.parametrize("to", ["3.8", "3.5", "latest", ""])
async def test_what_the_release_does_not_bring_is_refused(holding: NodeConfig, to: str) -> None:
    own = EtcdExchange(holding)
    with pytest.raises(ExchangeRefusedError, match="has no etcd"):
        own.go_on_with(EtcdWish(to))
    assert read_record(holding.paths) == EtcdRecord(OLD)
    assert not own.wanted.done()


async def test_what_runs_already_changes_nothing(holding: NodeConfig) -> None:
    own = EtcdExchange(holding)
    own.go_on_with(EtcdWish("3.6"))
    assert not own.wanted.done()


async def test_before_it_is_known_what_ran_nothing_is_exchanged(holding: NodeConfig) -> None:
    """A start that comes after would not know what to go back to."""
    write_record(holding.paths, EtcdRecord(NEW))
    with pytest.raises(ExchangeRefusedError, match="not written down yet"):
        EtcdExchange(holding).go_on_with(EtcdWish("3.7"))


async def test_the_way_back_is_open_when_the_data_are_of_the_former_one(
    raised: NodeConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = EtcdExchange(raised)
    assert own.choice().former == OLD.version
    monkeypatch.setattr(exchange, "storage_version", lambda paths: V36)
    own.go_on_with(EtcdWish("3.6"))
    assert read_record(raised.paths) == EtcdRecord(OLD)


@pytest.mark.parametrize("storage", [V37, None])
async def test_the_way_back_is_shut_while_they_are_not(
    raised: NodeConfig, monkeypatch: pytest.MonkeyPatch, storage: EtcdMinor | None
) -> None:
    monkeypatch.setattr(exchange, "storage_version", lambda paths: storage)
    with pytest.raises(ExchangeRefusedError, match=r"etcd 3\.6 does not start on them"):
        EtcdExchange(raised).go_on_with(EtcdWish("3.6"))
    assert read_record(raised.paths) == EtcdRecord(NEW, former=OLD)
