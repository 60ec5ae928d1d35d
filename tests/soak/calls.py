"""Calls from a lab's host that go on while something is done to the cluster."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rke2_lab.host import LabHost


@dataclass
class Calls:
    """What became of the calls of one host.

    Attributes:
        failures: a line for each: Unix time, URL, reason.
    """

    calls: int = 0
    failures: list[str] = field(default_factory=list)

    def of(self, url: str) -> list[float]:
        """When calls of `url` have failed, in Unix time."""
        return [float(line.split()[0]) for line in self.failures if line.split()[1] == url]


@contextmanager
def asking(host: LabHost, targets: list[list[str]]) -> Iterator[Calls]:
    """Ask `targets` four times a second from a host during the block; what became of it is complete afterwards.

    Args:
        targets: URL, file of authorities, client certificate without ``.crt``; the last two may be empty.
    """
    load, pipe = Calls(), subprocess.PIPE
    code = Path(__file__).with_name("calls_program.py").read_text()
    with host.popen([host.python, "-c", code], text=True, stdin=pipe, stdout=pipe) as process:
        assert process.stdin and process.stdout
        process.stdin.write(json.dumps(targets) + "\n")
        process.stdin.flush()
        assert process.stdout.readline() == "answers\n"
        try:
            yield load
        finally:
            lines = process.communicate()[0].splitlines()
            load.calls, load.failures = int(lines[-1]), lines[:-1]
