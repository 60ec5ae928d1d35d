"""Whether this release takes the configuration: every refused flag and unknown key at once, not one at each start."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rke2.config import files
from rke2.config.assignment import Assignment
from rke2.config.build import build_config
from rke2.config.commandline import parse
from rke2.config.model import NodeConfig
from rke2.errors import ConfigError, NotSupportedError, RKE2Error
from rke2.migration.findings import MigrationFinding, Severity
from rke2.migration.node import ExistingNode


@dataclass(frozen=True)
class Configuration:
    """What was found, and the configuration of the node where nothing stands against it."""

    findings: tuple[MigrationFinding, ...]
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


def _unknown(key: files.UnknownKey) -> MigrationFinding:
    remedy = f"{key.remedy}; or set warn-unknown-keys: true" if key.remedy else "set warn-unknown-keys: true"
    return MigrationFinding("config", Severity.STOP, key.sentence, remedy)


def _unsupported(assignments: tuple[Assignment, ...]) -> Iterator[MigrationFinding]:
    told = set()
    for item in assignments:
        refusal = item.flag.refusal(item.source)
        if not refusal or item.flag.name in told or _is_default(item):
            continue
        told.add(item.flag.name)
        yield MigrationFinding("flag", Severity.STOP, *refusal)


def _is_default(item: Assignment) -> bool:
    return item.text == str(item.flag.initial).lower()


def _refused(kind: str, error: RKE2Error) -> MigrationFinding:
    return MigrationFinding(kind, Severity.STOP, error.message, error.remedy)


UNIT_FILES = (
    Path("/etc/default/rke2-{role}"),
    Path("/etc/sysconfig/rke2-{role}"),
    Path("/usr/local/lib/systemd/system/rke2-{role}.env"),
)
"""Where RKE2's units take variables from, in this order."""


def environment(node: ExistingNode, pid: int | None, units: Iterable[Path] = UNIT_FILES) -> dict[str, str]:
    """The variables that RKE2 is started with: those of its process `pid`, else those that its unit would have."""
    if pid is not None:
        with suppress(OSError):
            return _pairs(
                (node.proc / str(pid) / "environ").read_bytes().decode(errors="replace").split("\0")
            )
    found: dict[str, str] = {}
    for template in units:
        with suppress(OSError):
            found |= _pairs(
                Path(str(template).format(role=node.role)).read_text(errors="replace").splitlines()
            )
    return found


def _pairs(lines: Iterable[str]) -> dict[str, str]:
    """``NAME=value`` of each line that has that form; one pair of quotes around the value goes."""
    split = (line.strip().partition("=") for line in lines if "=" in line and not line.startswith(("#", ";")))
    return {name: _unquoted(value) for name, _, value in split}


def _unquoted(value: str) -> str:
    quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "'\""
    return value[1:-1] if quoted else value
