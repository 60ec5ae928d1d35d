"""What a static pod of the control plane is: a description without any I/O.

The modules beside this one each describe one pod; `rke2.staticpods.volumes` finds what is to be mounted,
`rke2.staticpods.manifest` makes the Kubernetes object of both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rke2.config.model import ComponentSettings

CA_DIRECTORIES = (
    Path("/etc/ssl/certs"),
    Path("/etc/pki/tls/certs"),
    Path("/etc/ca-certificates"),
    Path("/usr/local/share/ca-certificates"),
    Path("/usr/share/ca-certificates"),
)
"""Where distributions keep trusted CAs; those that exist are mounted into the pods that call out."""


@dataclass(frozen=True)
class HTTPCheck:
    """A probe that asks an HTTP endpoint on the host's loopback address."""

    port: int
    path: str = "/livez"
    scheme: str = "HTTPS"


@dataclass(frozen=True)
class ExecCheck:
    """A probe that runs a command in the container."""

    command: tuple[str, ...]


Check = HTTPCheck | ExecCheck


@dataclass(frozen=True)
class StaticPod:
    """One pod of the control plane.

    Args:
        name: of the component, its pod, its only container and the command run in it.
        image: full reference.
        args: the component's command line without the command.
        settings: what the operator's flags say (resources, probes, extra mounts and environment).
        dirs: host directories mounted read-write, created if missing.
        optional_dirs: as `dirs`, but only those that exist.
        files: host files mounted read-only besides those named in `args`.
        excluded_files: files named in `args` that are not mounted one by one.
        run_as: user and group id; None is root.
        implied: arguments, and the word ``startupProbe``, for what may be there or not without it being another pod
            (`rke2.staticpods.unchanged`).
        hashed_as: what counts of a file's content for the pod, where it is not all of it.
    """

    name: str
    image: str
    args: tuple[str, ...]
    settings: ComponentSettings
    ports: Mapping[str, int]
    startup: Check | None = None
    liveness: Check | None = None
    readiness: Check | None = None
    sockets: tuple[Path, ...] = ()
    optional_dirs: tuple[Path, ...] = ()
    dirs: tuple[Path, ...] = ()
    files: tuple[Path, ...] = ()
    excluded_files: frozenset[Path] = frozenset()
    annotations: Mapping[str, str] = field(default_factory=dict)
    privileged: bool = False
    selinux_type: str = ""
    run_as: tuple[int, int] | None = None
    implied: frozenset[str] = frozenset()
    hashed_as: Mapping[Path, Callable[[bytes], bytes]] = field(default_factory=dict)
