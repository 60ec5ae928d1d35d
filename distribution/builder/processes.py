"""Commands of the build: run one, follow its output line by line, keep the last lines for the error."""

from __future__ import annotations

import asyncio
import os
import signal
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from distribution.builder.errors import BuildError

KEPT_LINES = 30
_LONGEST_LINE = 1 << 20


async def run(
    what: str,
    command: Sequence[str],
    *,
    cwd: Path,
    env: Mapping[str, str],
    is_progress: Callable[[str], bool] = lambda _: False,
) -> None:
    """Run `command` in its own process group; a cancelled task takes the whole group with it.

    Args:
        what: the component, for the error.
        is_progress: called with each line of its output; lines it answers true to are not kept for the error.

    Raises:
        BuildError: it cannot be started or ended with a non-zero code; carries the last lines it wrote.
    """
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=cwd,
            env=env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=_LONGEST_LINE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise BuildError(
            what, f"{command[0]} is not installed (run `python -m distribution prerequisites`)"
        ) from error
    try:
        assert process.stdout is not None
        async for raw in process.stdout:
            line = raw.decode(errors="replace").rstrip()
            if not is_progress(line):
                tail.append(line)
        code = await process.wait()
    finally:
        await _end(process)
    if code != 0:
        raise BuildError(what, f"`{command[0]}` ended with code {code}", "\n".join(tail))


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
