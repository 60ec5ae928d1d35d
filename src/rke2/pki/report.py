"""What a pass over the certificates did, for the log and for ``rke2 status``."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rke2.pki.issue import NO_CERTIFICATE

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PKIReport:
    """Certificate and key files by what happened to them.

    `renewed` gives the reason for each file.
    """

    created: tuple[Path, ...] = ()
    renewed: Mapping[Path, str] = field(default_factory=dict)
    kept: tuple[Path, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.created or self.renewed)

    def __str__(self) -> str:
        return f"{len(self.created)} created, {len(self.renewed)} renewed, {len(self.kept)} kept"


class Recorder:
    """Collects a `PKIReport` and logs each change as it happens."""

    def __init__(self) -> None:
        self._created: list[Path] = []
        self._renewed: dict[Path, str] = {}
        self._kept: list[Path] = []

    def created(self, path: Path) -> None:
        log.info("Created %s", path)
        self._created.append(path)

    def issued(self, path: Path, reason: str) -> None:
        """A leaf was issued: created if there was none, renewed for any other `reason`."""
        if reason == NO_CERTIFICATE:
            self.created(path)
        else:
            log.info("Renewed %s: %s", path, reason)
            self._renewed[path] = reason

    def kept(self, path: Path) -> None:
        self._kept.append(path)

    def report(self) -> PKIReport:
        return PKIReport(tuple(self._created), dict(self._renewed), tuple(self._kept))
