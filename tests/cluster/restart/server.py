"""``rke2 server`` on a host of a lab, started, killed and looked at."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Mapping

from rke2.config.paths import Paths
from rke2.lifecycle.progress import PhaseStatus, ProcessStatus, read_status
from rke2_lab.follow import until_ready
from rke2_lab.node import LabNode
from tests.cluster.eventually import eventually
from tests.cluster.nodes import BOOT_SECONDS

CHILDREN = ("containerd", "kubelet")
"""What ends with rke2; all other processes of the node outlive it."""

STOP_SECONDS = 30.0
"""Far above what an end takes: about a second."""


class Server:
    """The rke2 process of `node`, if one runs."""

    def __init__(self, node: LabNode) -> None:
        self.node = node
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def process(self) -> subprocess.Popen[bytes] | None:
        """What stands for it on the machine, if it was started."""
        return self._process

    # --- life --------------------------------------------------------------------------------------
    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Start it; `environment` comes on top of what a process of a host has."""
        assert not self.running
        self._started = time.time()
        self._process = self.node.start(env=environment)

    def until_ready(self) -> ProcessStatus:
        """Wait until the node is ready, with all its components and system pods."""
        assert self._process is not None
        until_ready(self.node, self._process, BOOT_SECONDS)
        return self.status()

    def terminate(self) -> int:
        """End it like a service manager; returns its exit code."""
        self.node.signal(signal.SIGTERM)
        return self.wait()

    def kill(self) -> None:
        """End it like the kernel when memory runs out."""
        pid = self.status().pid
        assert self._process is not None
        self._process.kill()
        assert self.wait() == -signal.SIGKILL
        # What was killed stood for the process in the host and takes it along.
        process = self.node.host.path(f"/proc/{pid}")
        eventually(process.exists, "rke2 is gone", STOP_SECONDS, ok=lambda exists: not exists)

    def wait(self) -> int:
        """Wait for its end; returns its exit code, negative after a signal."""
        assert self._process is not None
        return self._process.wait(STOP_SECONDS)

    # --- what can be seen of it --------------------------------------------------------------------
    def status(self) -> ProcessStatus:
        """What the process that was started last says of itself."""
        status = eventually(self._own_status, "the process has written its state file", 30)
        assert status
        return status

    def _own_status(self) -> ProcessStatus | None:
        status = read_status(self.node.host.path(Paths().status))
        return status if status is not None and status.started >= self._started else None

    def phase(self, name: str) -> PhaseStatus:
        """One phase of its boot."""
        return next(phase for phase in self.status().phases if phase.name == name)

    def until_phase(self, name: str) -> None:
        """Wait until a phase runs, or has run if it is too quick to be seen."""
        eventually(lambda: self.phase(name).state in ("running", "done"), f"phase {name} runs", BOOT_SECONDS)

    def report(self) -> tuple[int, dict[str, object]]:
        """Exit code and answer of ``rke2 status -o json``."""
        done = self.node.rke2("status", "-o", "json")
        return done.returncode, json.loads(done.stdout)

    def pids(self, program: str) -> set[int]:
        """The processes of the host that run `program`."""
        return {int(pid) for pid in self.node.host.exec(["pgrep", "-x", program]).stdout.split()}

    def pid(self, program: str) -> int:
        """The process that runs `program`: the oldest, as between fork and exec a child of it has its name, too."""
        return int(self.node.host.exec(["pgrep", "-o", "-x", program], check=True).stdout)

    def until_childless(self) -> None:
        """Wait until containerd and the kubelet are gone."""
        eventually(
            lambda: [pid for program in CHILDREN for pid in self.pids(program)],
            "containerd and the kubelet are gone",
            STOP_SECONDS,
            ok=lambda pids: not pids,
        )

    def logged(self, text: str) -> int:
        """How often `text` is in the log of all processes so far."""
        return self.node.log.read_text(errors="replace").count(text)
