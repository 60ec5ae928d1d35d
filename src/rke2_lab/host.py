"""One host of a lab.

::

                 start()                destroy()
    (record) ──────────────▶ running ───────────────▶ gone
        ▲                      │
        └──────────────────────┘
          stop(): like pulling the plug; disk stays
"""

from __future__ import annotations

import logging
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from rke2.errors import LabError
from rke2.host.files import write_atomic
from rke2_lab import cgroups, network, program, rootfs, toolbox
from rke2_lab.process import ProcessId
from rke2_lab.record import HostRecord

log = logging.getLogger(__name__)

START_TIMEOUT = 30.0
"""Seconds a host may take to mount everything; it takes about a tenth of one."""

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/var/lib/rancher/rke2/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "KUBECONFIG": "/etc/rancher/rke2/rke2.yaml",
    "CRI_CONFIG_FILE": "/var/lib/rancher/rke2/agent/etc/crictl.yaml",
    "CONTAINERD_ADDRESS": "/run/k3s/containerd/containerd.sock",
    "CONTAINERD_NAMESPACE": "k8s.io",
}
"""What a process in a host starts with: nothing of the caller's environment (proxies, credentials) gets in."""

_FOR_PEOPLE = f"{toolbox.BIN}:{toolbox.TOOLS}"
"""At the end of the ``PATH`` of commands for people, where the host has a root of its own."""


class LabHost:
    """A running or stopped host; everything it is, is in its record.

    Args:
        file: the host's record.
        bridge_netns: network namespace of the lab's bridge.
    """

    def __init__(self, file: Path, bridge_netns: str) -> None:
        self._file = file
        self._bridge_netns = bridge_netns

    @property
    def record(self) -> HostRecord:
        return HostRecord.load(self._file)

    @property
    def name(self) -> str:
        return self._file.parent.name

    @property
    def directory(self) -> Path:
        """Everything the host keeps on the machine's disk."""
        return self._file.parent

    @property
    def address(self) -> str:
        """IPv4 address on the lab's bridge."""
        return self.record.address

    @property
    def address6(self) -> str:
        """IPv6 address (ULA) on the lab's bridge."""
        return self.record.address6

    @property
    def running(self) -> bool:
        return self.record.running

    # --- life --------------------------------------------------------------------------------------
    def start(self) -> None:
        """Start the host; does nothing if it runs.

        Raises:
            LabError: something could not be made; what was made is removed again.
        """
        record = self.record
        if record.running:
            return
        self.stop()
        record = replace(record, groups=cgroups.plan(record.netns), init=None)
        record.save()
        try:
            rootfs.prepare_directories(record)
            cgroups.create(record.groups)
            network.connect(self._bridge_netns, record)
            self._launch(record)
        except BaseException as error:
            self.stop()
            if isinstance(error, OSError):
                raise LabError(f"host {record.name} does not start: {error}") from error
            raise
        log.info("host %s is up at %s", record.name, record.address)

    def _launch(self, record: HostRecord) -> None:
        # close_fds=False: the lab's lock is inherited and stays held until PID 1 is ready or gone.
        with subprocess.Popen(
            program.init(record.file),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            start_new_session=True,
            close_fds=False,
        ) as launcher:
            assert launcher.stdin and launcher.stdout
            pid = _line(launcher.stdout)
            if not pid.isdigit():
                raise LabError(f"host {record.name} does not start: {pid or 'see the messages above'}")
            replace(record, init=ProcessId.of(int(pid))).save()
            launcher.stdin.write(b"go\n")
            answer = _line(launcher.stdout)
        if answer != "ready":
            raise LabError(f"host {record.name} does not start: {answer or 'its first process died'}")

    def stop(self) -> None:
        """End every process of the host at once, as a power failure would; its disk stays.

        Raises:
            LabError: a process or control group does not go away.
        """
        record = self.record
        if record.running:
            # Dying processes end their connections, which a power failure does not: nobody must hear of it.
            network.set_link(self._bridge_netns, record, "down")
            # On cgroup v1 what is frozen does not even die.
            self.thaw()
        if record.init and not record.init.kill():
            raise LabError(
                f"host {record.name}: process {record.init.pid} does not end", "look for hung mounts in dmesg"
            )
        cgroups.remove(record.groups)
        network.disconnect(self._bridge_netns, record)
        replace(record, groups=(), init=None).save()

    def destroy(self) -> None:
        """Stop the host and remove all it had on disk."""
        self.stop()
        shutil.rmtree(self.directory)

    # --- faults ------------------------------------------------------------------------------------
    def cut(self) -> None:
        """Pull the network cable: the link is down, addresses stay."""
        network.set_link(self._bridge_netns, self.record, "down")

    def heal(self) -> None:
        """Put the cable in again."""
        network.set_link(self._bridge_netns, self.record, "up")

    def attach(self, interface: str, *addresses: str) -> None:
        """Plug in one more network card, until the host stops; those of all hosts with this name are one network.

        Args:
            addresses: each with the length of its prefix.
        """
        self.require_running()
        network.attach(self._bridge_netns, self.record, interface, addresses)

    def lose(self, percent: float) -> None:
        """Lose that share of the packets in both directions, 0 to end it.

        Raises:
            LabError: the kernel cannot (``sch_ingress``, ``cls_bpf``).
        """
        network.set_loss(self._bridge_netns, self.record, percent)

    def freeze(self) -> None:
        """Stop every process where it is, as a machine that hangs; `exec` hangs with it.

        Raises:
            LabError: the machine's control groups cannot.
        """
        cgroups.freeze(self.record.groups, True)

    def thaw(self) -> None:
        """Let a frozen host go on."""
        cgroups.freeze(self.record.groups, False)

    def signal(self, program: str, number: signal.Signals) -> int:
        """Send a signal to every process of this host, in containers too, that is called `program`.

        Args:
            program: the name as ``ps -o comm`` shows it.

        Returns:
            The number of processes.
        """
        found = cgroups.processes(self.record.groups, program)
        for process in found:
            with process.pidfd() as fd:
                if fd is not None:
                    signal.pidfd_send_signal(fd, number)
        return len(found)

    def small_disk(self, directory: str | Path, mebibytes: int) -> None:
        """Put a disk of its own under `directory`, small enough to be filled; in memory, gone when the host stops."""
        self.exec(["mkdir", "-p", str(directory)], check=True)
        options = f"size={mebibytes}m,mode=700"
        self.exec(["mount", "-t", "tmpfs", "-o", options, "small", str(directory)], check=True)

    # --- processes ---------------------------------------------------------------------------------
    def command(self, command: Sequence[str], *, directory: str = "/root") -> list[str]:
        """The command line that, run on the machine with `environment`, runs `command` in this host."""
        return program.enter(self._file, directory, list(command))

    def environment(self, extra: Mapping[str, str] | None = None, *, tools: bool = True) -> dict[str, str]:
        """Environment of a process in this host.

        Args:
            tools: with the machine's tools at the end of ``PATH``; without, it sees what the host has.
        """
        terminal = {"TERM": os.environ["TERM"]} if "TERM" in os.environ else {}
        more = _FOR_PEOPLE if self.record.root else str(Path(sys.executable).parent)
        path = {"PATH": f"{ENVIRONMENT['PATH']}:{more}"} if tools or not self.record.root else {}
        return ENVIRONMENT | path | terminal | dict(extra or {})

    @property
    def python(self) -> str:
        """The program in this host that is the Python of this process, with its packages."""
        return str(toolbox.PYTHON) if self.record.root else sys.executable

    def of_machine(self, path: Path) -> Path:
        """Where a file of the machine's /usr is in this host; no program of the host finds it by itself."""
        return toolbox.moved(path) if self.record.root else path

    @property
    def product(self) -> list[str]:
        """The command line that is this very rke2 in the host."""
        return [str(toolbox.RKE2)] if self.record.root else [sys.executable, "-m", "rke2"]

    def popen(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        directory: str = "/root",
        tools: bool = True,
        **options: Any,
    ) -> subprocess.Popen[Any]:
        """Start a process in all namespaces of this host.

        The returned object stands for it: its signals reach the process, SIGKILL included, its exit is its exit.

        Args:
            env: variables besides `ENVIRONMENT`.
            directory: working directory in the host.
            tools: as of `environment`.
            options: passed to `subprocess.Popen`.
        """
        self.require_running()
        return subprocess.Popen(
            self.command(command, directory=directory),
            env=self.environment(env, tools=tools),
            cwd="/",
            **options,
        )

    def exec(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str] | None = None,
        directory: str = "/root",
        tools: bool = True,
        timeout: float | None = None,
        check: bool = False,
        input: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in this host and collect its output.

        Args:
            tools: as of `environment`.
            timeout: seconds.
            check: raise if the exit code is not 0.

        Raises:
            subprocess.TimeoutExpired: the command was killed after `timeout`.
            LabError: the host does not run, or `check` and the command failed; has its output.
        """
        self.require_running()
        done = subprocess.run(
            self.command(command, directory=directory),
            env=self.environment(env, tools=tools),
            cwd="/",
            input=input,
            stdin=None if input is not None else subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode != 0:
            output = (done.stdout + done.stderr).strip()
            raise LabError(f"host {self.name}: {' '.join(command)} failed with {done.returncode}: {output}")
        return done

    def require_running(self) -> None:
        """Raise LabError unless this host runs."""
        if not self.running:
            raise LabError(f"host {self.name} is not running", f"start it with `rke2 lab up {self.name}`")

    # --- files -------------------------------------------------------------------------------------
    def path(self, path: str | Path) -> Path:
        """Where a path of the host is on the machine.

        Directories of `rootfs.ON_DISK` also while the host is stopped, everything else while it runs.
        Absolute symbolic links in the host point to the machine's files when followed from outside.
        """
        inside = Path(path)
        record = self.record
        if any(inside.is_relative_to(own) for own in rootfs.ON_DISK):
            return record.fs / inside.relative_to("/")
        self.require_running()
        assert record.init
        return Path(f"/proc/{record.init.pid}/root") / inside.relative_to("/")

    def write_file(self, path: str | Path, content: str | bytes, mode: int = 0o600) -> None:
        """Write a file of the host, making the directories above it."""
        file = self.path(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(file, content, mode)

    def place_file(self, source: Path, path: str | Path) -> None:
        """Give the host a file of the machine: the same file, or a copy on another file system."""
        target = self.path(path)
        if target.exists() and target.samefile(source):
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_name(f".{target.name}.part")
        part.unlink(missing_ok=True)
        try:
            os.link(source.resolve(), part)
        except OSError:
            shutil.copy2(source, part)
        part.replace(target)


def _line(stream: IO[bytes]) -> str:
    """One line of the launcher, "" if it says nothing more or nothing in time."""
    ready, _, _ = select.select([stream], [], [], START_TIMEOUT)
    return stream.readline().decode().strip() if ready else ""
