"""Every task has an owner that notices its end.

A task that is only created has none: when it fails, nobody knows, and what it did is simply not done any more. So
tasks are made by task groups, by `rke2.lifecycle.services` for what lasts, and by `rke2.host.tasks` for the rest.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src"
OWNERS = {"rke2/lifecycle/services.py", "rke2/host/tasks.py"}
BARE = {"ensure_future", "run_coroutine_threadsafe"}
THREADS = {"rke2_lab/follow.py", "rke2/host/guard.py"}
"""One that is joined in the block that starts it; one that ends the process."""


def bare_tasks(source: str) -> list[int]:
    """The lines that create a task outside a task group."""
    return [
        call.lineno
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and (_name(call) in BARE or (_name(call) == "create_task" and _is_bare(call)))
    ]


def _name(call: ast.Call) -> str:
    function = call.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _is_bare(call: ast.Call) -> bool:
    """Whether a task is the event loop's: `asyncio`'s, or that of something called a loop."""
    return (
        not isinstance(call.func, ast.Attribute)
        or "loop" in (owner := ast.unparse(call.func.value))
        or (owner == "asyncio")
    )


@pytest.mark.parametrize(
    ("source", "lines"),
    [
        ("asyncio.create_task(x())", [1]),
        ("\nasyncio.get_running_loop().create_task(x())", [2]),
        ("from asyncio import create_task\ncreate_task(x())", [2]),
        ("loop.create_task(x())", [1]),
        ("asyncio.ensure_future(x())", [1]),
        ("tasks.create_task(x())", []),
        ("self._tasks.create_task(x())", []),
    ],
)
def test_bare_tasks_are_found(source: str, lines: list[int]) -> None:
    assert bare_tasks(source) == lines


@pytest.mark.parametrize("path", sorted(SOURCE.rglob("*.py")), ids=lambda path: str(path.relative_to(SOURCE)))
def test_no_task_is_without_an_owner(path: Path) -> None:
    if str(path.relative_to(SOURCE)) not in OWNERS:
        assert bare_tasks(path.read_text()) == []


def test_threads_are_started_only_where_their_end_is_noticed() -> None:
    starting = {
        str(path.relative_to(SOURCE)) for path in SOURCE.rglob("*.py") if "Thread(" in path.read_text()
    }
    assert starting <= THREADS
