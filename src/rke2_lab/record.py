"""What a host is, as a document on disk.

It is written before anything of the host exists, so that whatever a crash leaves behind can be found and removed.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rke2.host.files import write_atomic
from rke2_lab.cgroups import ControlGroup
from rke2_lab.process import ProcessId


@dataclass(frozen=True)
class HostRecord:
    """One host.

    Args:
        index: number of the host in its lab; decides its addresses and its port on the bridge.
        directory: everything the host keeps on the machine's disk.
        state_dir: the directory of all labs, hidden from hosts.
        root: its files, copy-on-write (`rke2_lab.roots`); None: the machine's.
        exposed: directories of the machine bound into the host as they are (the product itself).
        program: rke2 in one file, in place of what this process runs from; only with a root of its own.
        groups: the control groups of the running host, empty while it is stopped.
        init: PID 1 of the running host as the machine sees it.
    """

    lab: str
    name: str
    index: int
    address: str
    address6: str
    netns: str
    directory: Path
    state_dir: Path
    root: Path | None = None
    exposed: tuple[Path, ...] = ()
    program: Path | None = None
    groups: tuple[ControlGroup, ...] = ()
    init: ProcessId | None = None

    @property
    def file(self) -> Path:
        return self.directory / "host.json"

    @property
    def fs(self) -> Path:
        """The host's own directories, in the order of their paths inside the host."""
        return self.directory / "fs"

    @property
    def names(self) -> Path:
        """``/etc/hosts`` of every host of the lab."""
        return self.directory.parent.parent / "hosts.txt"

    @property
    def running(self) -> bool:
        return self.init is not None and self.init.alive

    def save(self) -> None:
        write_atomic(self.file, json.dumps(asdict(self), default=str, indent=2) + "\n", durable=True)

    @classmethod
    def load(cls, file: Path) -> HostRecord:
        """Read a record that `save` wrote.

        Raises:
            FileNotFoundError: there is no such host.
        """
        data: dict[str, Any] = json.loads(file.read_text())
        return cls(
            **data
            | {
                "directory": Path(data["directory"]),
                "state_dir": Path(data["state_dir"]),
                "root": Path(data["root"]) if data.get("root") else None,
                "program": Path(data["program"]) if data.get("program") else None,
                "exposed": tuple(Path(item) for item in data["exposed"]),
                "groups": tuple(
                    ControlGroup(Path(group["root"]), Path(group["leaf"])) for group in data["groups"]
                ),
                "init": ProcessId(**data["init"]) if data["init"] else None,
            }
        )
