from __future__ import annotations

import logging

from rke2.cli.logging_setup import LogrusFormatter


def record(
    message: str, *args: object, level: int = logging.INFO, error: Exception | None = None
) -> logging.LogRecord:
    made = logging.LogRecord(
        "rke2.x", level, __file__, 1, message, args, (type(error), error, None) if error else None
    )
    made.created = 1_787_227_200.5
    return made


def test_a_line_reads_like_one_of_logrus() -> None:
    assert LogrusFormatter().format(record('waiting for "%s"\nnext', "etcd")) == (
        r'time="2026-08-20T12:00:00Z" level=info msg="waiting for \"etcd\"\nnext"'
    )


def test_levels_and_errors() -> None:
    line = LogrusFormatter().format(record("no", level=logging.CRITICAL, error=OSError("full")))
    assert line.endswith("""level=fatal msg="no" error="OSError('full')\"""")
    assert "level=warning" in LogrusFormatter().format(record("no", level=logging.WARNING))
