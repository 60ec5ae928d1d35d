"""Directories below which secrets lie. Whoever made them first, they are open to no more people than this table says.

An administrator who puts images below ``agent`` before the first start makes it with the mode of an ordinary
directory, and older releases did. One that is narrower stays so. Nobody but root has to pass through any of them:
containerd and the kubelet mount what containers need, and a mount does not ask for the rights of the way to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rke2.config.paths import Paths
from rke2.errors import HostError
from rke2.host.files import ensure_dir


def directories(paths: Paths, *, server: bool) -> Mapping[Path, int]:
    """The directories with their modes, parents first; ``docs/security.md`` lists them with all else."""
    agent = {
        paths.agent: 0o750,
        paths.agent_logs: 0o750,
        paths.agent_etc: 0o750,
        paths.pod_manifests: 0o750,
        paths.containerd_root: 0o750,
    }
    return agent | ({paths.server: 0o700, paths.manifests: 0o700} if server else {})


def prepare(paths: Paths, *, server: bool) -> None:
    """Make them, and take rights away from those that are wider.

    Raises:
        HostError: one cannot be made.
    """
    for path, mode in directories(paths, server=server).items():
        try:
            ensure_dir(path, mode)
            if (found := path.stat().st_mode & 0o7777) & ~mode:
                path.chmod(found & mode)
        except OSError as error:
            raise HostError.of(error, f"{path} cannot be used") from error
