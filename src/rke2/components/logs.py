"""Keeps the log files of supervised processes from growing without bound."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

from rke2.lifecycle.logfile import LogFile
from rke2.lifecycle.service import Up

log = logging.getLogger(__name__)

_INTERVAL = 60.0


class LogRotation:
    """Looks at each log file once a minute."""

    name = "log rotation"

    def __init__(self, files: Sequence[LogFile]) -> None:
        self._files = files

    async def run(self, up: Up) -> None:
        up()
        while True:
            await asyncio.sleep(_INTERVAL)
            for file in self._files:
                try:
                    await asyncio.to_thread(file.rotate_if_large)
                except OSError as error:
                    log.warning("cannot rotate %s: %s", file.path, error)
