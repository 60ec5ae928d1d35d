"""Commands of the build: run one, follow its output line by line, keep the last lines for the error."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
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
) -> float:
    """Run `command` in its own process group; a cancelled task takes the whole group with it.

    Args:
        what: the component, for the error.
        is_progress: called with each line of its output; lines it answers true to are not kept for the error.

    Returns:
        The CPU seconds of the command and the processes it waited for.

    Raises:
        BuildError: it cannot be started or ended with a non-zero code; carries the last lines it wrote.
    """
    tail: deque[str] = deque(maxlen=KEPT_LINES)
    process = _started(what, command, cwd, env)
    # Not asyncio's processes: they do not tell what the kernel says of an ended one.
    ended = asyncio.ensure_future(asyncio.to_thread(os.wait4, process.pid, 0))
    try:
        async for raw in _lines(process):
            line = raw.decode(errors="replace").rstrip()
            if not is_progress(line):
                tail.append(line)
        await asyncio.shield(ended)
    finally:
        if not ended.done():
            os.killpg(process.pid, signal.SIGKILL)
        _, status, usage = await ended
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise BuildError(what, f"`{command[0]}` ended with code {process.returncode}", "\n".join(tail))
    return usage.ru_utime + usage.ru_stime


def _started(what: str, command: Sequence[str], cwd: Path, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
    try:
        return subprocess.Popen(
            command,
            cwd=cwd,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        raise BuildError(
            what, f"{command[0]} is not installed (run `python -m distribution prerequisites`)"
        ) from error


async def _lines(process: subprocess.Popen[bytes]) -> AsyncIterator[bytes]:
    reader = asyncio.StreamReader(_LONGEST_LINE)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), process.stdout
    )
    try:
        async for line in reader:
            yield line
    finally:
        transport.close()
