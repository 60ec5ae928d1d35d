"""The log of server and agent: one line per event on standard error, in the text format of RKE2 (logrus)."""

from __future__ import annotations

import json
import logging
import sys
import time

_LEVELS = {"CRITICAL": "fatal", "WARNING": "warning", "ERROR": "error", "INFO": "info", "DEBUG": "debug"}
_CHATTY = ("aiohttp", "asyncio")
"""Libraries whose own messages say nothing to an operator."""


class LogrusFormatter(logging.Formatter):
    """``time="2026-08-20T12:00:00Z" level=info msg="…"``, with ``error="…"`` when an exception is logged."""

    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        line = (
            f'time="{when}" level={_LEVELS.get(record.levelname, "info")} msg={_quote(record.getMessage())}'
        )
        if record.exc_info and record.exc_info[1]:
            line += f" error={_quote(repr(record.exc_info[1]))}"
            if logging.getLogger().isEnabledFor(logging.DEBUG):
                line += "\n" + self.formatException(record.exc_info)
        return line


def _quote(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def set_up(*, debug: bool = False) -> None:
    """Send the log of the whole process to standard error; may be called again to change the level."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LogrusFormatter())
    logging.basicConfig(level=logging.DEBUG if debug else logging.INFO, handlers=[handler], force=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.INFO if debug else logging.WARNING)
