"""Whether this release takes the configuration: every refused flag and unknown key at once, not one at each start."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rke2.config import files
from rke2.config.assignment import Assignment
from rke2.config.build import build_config
from rke2.config.commandline import parse
from rke2.config.model import NodeConfig
from rke2.errors import ConfigError, NotSupportedError, RKE2Error
from rke2.migration.findings import Finding, Severity
from rke2.migration.node import ExistingNode


@dataclass(frozen=True)
class Configuration:
    """What was found, and the configuration of the node where nothing stands against it."""

    findings: tuple[Finding, ...]
    config: NodeConfig | None


def read(node: ExistingNode, location: str, environ: Mapping[str, str]) -> Configuration:
    """Look at the configuration file at `location` and its drop-ins, then at all of it together.

    Args:
        location: a path; a file that is not there is one without keys.
        environ: variables that RKE2 is started with.
    """
    try:
        loaded = files.load(node.role, location, required=False)
    except ConfigError as error:
        return Configuration((_refused("config", error),), None)
    findings = [_unknown(key) for key in loaded.unknown if not _skips_unknown(loaded.assignments)]
    findings += _unsupported(loaded.assignments)
    if findings:
        return Configuration(tuple(findings), None)
    try:
        typed = parse(node.role, _arguments(node, location))
        return Configuration((), build_config(node.role, typed, environ))
    except NotSupportedError as error:
        return Configuration((_refused("flag", error),), None)
    except RKE2Error as error:
        return Configuration((_refused("config", error),), None)


def _arguments(node: ExistingNode, location: str) -> list[str]:
    return [
        *(["--config", location] if Path(location).exists() else []),
        "--data-dir",
        str(node.paths.data_dir),
    ]


def _skips_unknown(assignments: tuple[Assignment, ...]) -> bool:
    return any(item.flag.name == "warn-unknown-keys" and item.text == "true" for item in assignments)


def _unknown(key: files.UnknownKey) -> Finding:
    remedy = f"{key.remedy}; or set warn-unknown-keys: true" if key.remedy else "set warn-unknown-keys: true"
    return Finding("config", Severity.STOP, key.sentence, remedy)


def _unsupported(assignments: tuple[Assignment, ...]) -> Iterator[Finding]:
    told = set()
    for item in assignments:
        if item.flag.supported or item.flag.name in told or _is_default(item):
            continue
        told.add(item.flag.name)
        yield Finding(
            "flag",
            Severity.STOP,
            f"{item.flag.name} is not supported yet (set by {item.source})",
            f"remove {item.flag.name}; this release does without it",
        )


def _is_default(item: Assignment) -> bool:
    return item.text == str(item.flag.initial).lower()


def _refused(kind: str, error: RKE2Error) -> Finding:
    return Finding(kind, Severity.STOP, error.message, error.remedy)


def environment(proc: Path, pid: int | None) -> dict[str, str]:
    """The variables that RKE2's process was started with; those of this process where none runs."""
    if pid is None:
        return dict(os.environ)
    try:
        entries = (proc / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return dict(os.environ)
    return dict(entry.split("=", 1) for entry in entries if "=" in entry)
