"""What an operator is told about the files of the manifests directory: events, log and ``rke2 status``."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path

from rke2.kube.events import EventRecorder
from rke2.kube.objects import Object

log = logging.getLogger(__name__)

Tell = Callable[[str, str], None]
"""Takes what a trouble is about and its words; empty ones when it is over (`rke2.lifecycle.progress`)."""

_EVENTS = {
    "ApplyingManifest": "Applying manifest at",
    "AppliedManifest": "Applied manifest at",
    "DeletingManifest": "Deleting manifest at",
    "DeletedManifest": "Deleted manifest at",
    "ReadManifestFailed": "Read manifest failed at",
    "ParseManifestFailed": "Parse manifest failed at",
    "ValidateManifestFailed": "Validate manifest failed at",
    "ApplyManifestFailed": "Apply manifest failed at",
    "AddonNameTaken": "Another Addon name for manifest at",
}


def tell_nobody(_about: str, _words: str) -> None:
    """For those who keep no status."""


class Telling:
    """Events on Addons, and the troubles of files until they are over.

    Args:
        tell: takes the troubles.
    """

    def __init__(self, events: EventRecorder, tell: Tell) -> None:
        self._events, self._tell = events, tell
        self._troubles: set[Path] = set()

    def normal(self, addon: Object, path: Path, reason: str) -> None:
        """An event without more words than those of its reason."""
        self._events.emit(addon, "Normal", reason, f"{_EVENTS[reason]} {_quoted(path)}")

    def warning(self, addon: Object, path: Path, reason: str, message: str) -> None:
        """An event about something that needs attention; the log has it too."""
        self._events.emit(addon, "Warning", reason, f"{_EVENTS[reason]} {_quoted(path)}: {message}")

    def trouble(self, addon: Object, path: Path, reason: str, message: str) -> None:
        """A warning that stays in the status until it is over."""
        self.warning(addon, path, reason, message)
        self._troubles.add(path)
        self._tell(_about(path), f"{_EVENTS[reason].removesuffix(' at')}: {message}")

    def over(self, path: Path) -> None:
        """There is nothing to see to any more."""
        if path in self._troubles:
            self._troubles.remove(path)
            self._tell(_about(path), "")
            log.info("manifest %s: its trouble is over", path)


def _about(path: Path) -> str:
    return f"manifest {path}"


def _quoted(path: Path) -> str:
    return json.dumps(str(path))
