"""Further OCI runtimes containerd can use, found on this host (layout reference §5, item 10)."""

from __future__ import annotations

import os
import shutil
from dataclasses import dataclass
from pathlib import Path

_RUNC = "io.containerd.runc.v2"

CANDIDATES = {
    "nvidia": ("nvidia-container-runtime", _RUNC),
    "nvidia-experimental": ("nvidia-container-runtime-experimental", _RUNC),
    "nvidia-cdi": ("nvidia-container-runtime.cdi", _RUNC),
    "crun": ("crun", _RUNC),
    "kata": ("containerd-shim-kata-v2", "io.containerd.kata.v2"),
    "lunatic": ("containerd-shim-lunatic-v1", "io.containerd.lunatic.v1"),
    "slight": ("containerd-shim-slight-v1", "io.containerd.slight.v1"),
    "spin": ("containerd-shim-spin-v2", "io.containerd.spin.v2"),
    "wasmedge": ("containerd-shim-wasmedge-v1", "io.containerd.wasmedge.v1"),
    "wasmer": ("containerd-shim-wasmer-v1", "io.containerd.wasmer.v1"),
    "wasmtime": ("containerd-shim-wasmtime-v1", "io.containerd.wasmtime.v1"),
    "wws": ("containerd-shim-wws-v1", "io.containerd.wws.v1"),
}
"""Name of the runtime (and of a RuntimeClass's handler) -> its program and containerd's runtime type."""

EXTRA_DIRECTORIES = ("/usr/local/nvidia/toolkit", "/opt/kwasm/bin", "/opt/kata/bin")
"""Where installers of these runtimes put them besides the usual directories."""


@dataclass(frozen=True)
class Runtime:
    """A runtime that is there."""

    type: str
    binary: Path


def find_runtimes(path: str = "") -> dict[str, Runtime]:
    """The runtimes on this host, by name.

    Args:
        path: directories to look into, separated by colons; empty takes ``PATH`` and `EXTRA_DIRECTORIES`.
    """
    search = path or os.pathsep.join((os.environ.get("PATH", os.defpath), *EXTRA_DIRECTORIES))
    return {
        name: Runtime(type_, Path(found))
        for name, (program, type_) in CANDIDATES.items()
        if (found := shutil.which(program, path=search))
    }
