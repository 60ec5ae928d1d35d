"""`rke2 status` is asked often and while a node boots: it loads nothing that it does not need."""

from __future__ import annotations

import subprocess
import sys


def test_what_only_a_running_node_needs_is_not_imported() -> None:
    program = "import sys, rke2.cli.status; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert {"asyncio", "aiohttp", "grpc"} & set(loaded.stdout.split()) == set()
