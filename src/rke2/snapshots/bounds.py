"""How much of the machine a drill may take: it runs beside the etcd that the cluster lives on."""

from __future__ import annotations

import contextlib
import os
import resource
from dataclasses import dataclass

_SOFT = 0.75
"""Part of the memory above which Go's collector works harder rather than let the heap grow."""
_NICE = 10


@dataclass(frozen=True)
class Bounds:
    """Bounds of one child.

    Args:
        memory: bytes of its own. The database, which is mapped from its file, does not count: the kernel takes its
            pages back when somebody needs them.
    """

    memory: int = 1 << 30

    def environment(self) -> dict[str, str]:
        """The child's environment."""
        return {**os.environ, "GOMEMLIMIT": str(int(self.memory * _SOFT)), "GOMAXPROCS": "1"}

    def hold(self, pid: int) -> None:
        """Bound a child that has just begun; one that has ended already needs no bounds."""
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_DATA, (self.memory, self.memory))
            os.setpriority(os.PRIO_PROCESS, pid, _NICE)
