"""For all tests: the same signals, however pytest was started; the results of long ones written down."""

from __future__ import annotations

import os
import signal

import pytest
from hypothesis import settings

from tests import results

# gRPC's handlers for fork() abort a child that a test forks (`preexec_fn`) while another thread is in a call.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")

settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
"""A busy machine may be slow at any example; benches measure time, tests do not."""


def pytest_configure(config: pytest.Config) -> None:
    """Register what is for all of them."""
    _usual_signals()
    config.pluginmanager.register(
        results.LongResults(results.FILE, results.TESTS, config.args), "long-results"
    )


def _usual_signals() -> None:
    """Undo what a shell does to a background job: programs cannot trap a signal that was ignored at their start."""
    for number, default in (
        (signal.SIGINT, signal.default_int_handler),
        (signal.SIGQUIT, signal.SIG_DFL),
        (signal.SIGHUP, signal.SIG_DFL),
    ):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, default)
