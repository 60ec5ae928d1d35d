"""For all tests: the same signals, however pytest was started."""

from __future__ import annotations

import signal

from hypothesis import settings

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
"""A busy machine may be slow at any example; benches measure time, tests do not."""


def pytest_configure() -> None:
    """Undo what a shell does to a background job: programs cannot trap a signal that was ignored at their start."""
    for number, default in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)
