from __future__ import annotations

import subprocess
import sys

_PROGRAM = """
import os, pathlib, subprocess, sys
from rke2.host.title import set_title
set_title({title!r})
print(pathlib.Path("/proc/self/cmdline").read_bytes())
ps = ["ps", "-o", "args=", "-p", str(os.getpid())]
print(subprocess.run(ps, capture_output=True, text=True, check=True).stdout)
print(sys.argv[1:])
"""


def _run(title: str, *arguments: str) -> str:
    program = _PROGRAM.format(title=title)
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    ).stdout


def test_a_title_hides_the_arguments() -> None:
    cmdline, shown, argv = _run("rke2 server", "--token", "s3cr3t").split("\n", 2)
    assert cmdline.startswith("b'rke2 server")
    assert "s3cr3t" not in cmdline
    assert shown.strip() == "rke2 server"
    assert "s3cr3t" in argv, "the process itself still has them"


def test_a_long_title_is_cut() -> None:
    assert "xxxx" in _run("x" * 100_000).split("\n", 1)[0]
