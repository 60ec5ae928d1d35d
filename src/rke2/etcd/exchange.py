"""A server's part in raising its etcd, or in going back: what it answers, and the word to start again with another one.

`rke2.upgrade.finishing` asks server after server; each one looks at its own data before it does so.
"""

from __future__ import annotations

import asyncio
import logging

import msgspec

from rke2.config.model import NodeConfig
from rke2.content.runtime.references import image
from rke2.errors import ConfigError
from rke2.etcd.database import storage_version
from rke2.etcd.minor import EtcdMinor
from rke2.etcd.ran import EtcdRecord, read_record, write_record

log = logging.getLogger(__name__)


class ExchangeRefusedError(ConfigError):
    """This server does not start with that etcd; the message says why."""


class EtcdChoice(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a server can run its data with.

    Args:
        node: its name.
        image: that its etcd runs from.
        brought: the image of its release.
        held: whether it goes on with a former one.
        former: version of the etcd that its member was raised from; empty if there is no way back.
    """

    node: str
    image: str
    brought: str
    held: bool = False
    former: str = ""


class EtcdWish(msgspec.Struct, frozen=True):
    """With which minor version, such as ``3.7``, the member is to go on."""

    to: str


class EtcdExchange:
    """What a running server does to go on with another etcd.

    Attributes:
        wanted: set with the reason when the process has to start again.
    """

    def __init__(self, config: NodeConfig) -> None:
        self._config = config
        self.wanted: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def choice(self) -> EtcdChoice:
        """What this server has, and could have."""
        assert self._config.server
        held, record = self._config.server.held_etcd, read_record(self._config.paths)
        runs = image(self._config, "etcd")
        former = record.former.version if record and record.former and not held else ""
        return EtcdChoice(
            self._config.node.name, runs, held.brought if held else runs, held is not None, former
        )

    def go_on_with(self, wish: EtcdWish) -> None:
        """Write down what is wanted, and have the process start again; nothing if it is so already.

        Raises:
            ExchangeRefusedError: this server has no such etcd, or its data do not allow it.
            OSError: it cannot be written.
        """
        wanted, choice = EtcdMinor.parse(wish.to), self.choice()
        if wanted and wanted == EtcdMinor.of_image(choice.image):
            return
        write_record(self._config.paths, self._record(wanted, choice))
        log.warning("etcd goes on as %s: starting again", wish.to)
        if not self.wanted.done():
            self.wanted.set_result(f"etcd goes on as {wish.to}")

    def _record(self, wanted: EtcdMinor | None, choice: EtcdChoice) -> EtcdRecord:
        record = read_record(self._config.paths)
        if record is None or record.ran.image != choice.image:
            raise ExchangeRefusedError("which etcd runs here is not written down yet: ask again in a moment")
        if choice.held and wanted == EtcdMinor.of_image(choice.brought):
            return msgspec.structs.replace(record, confirmed=str(wanted))
        if record.former and wanted == record.former.minor and not choice.held:
            storage = storage_version(self._config.paths)
            if wanted and storage and storage <= wanted:
                return EtcdRecord(record.former)
            raise ExchangeRefusedError(
                f"the data are of etcd {storage}: etcd {wanted} does not start on them"
            )
        raise ExchangeRefusedError(
            f"{choice.node} has no etcd {wanted}: it runs {choice.image}, and its release brings {choice.brought}"
        )
