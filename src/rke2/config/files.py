"""config.yaml and its drop-ins: located, checked against the table of flags and merged.

The rules are RKE2's: the main file first, then ``<file>.d/*.yaml|*.yml`` in alphabetical order; a key that
appears again replaces, ``key+`` appends. A key without a value counts as not set.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from rke2.config.assignment import Assignment, explain_unknown, is_of_other
from rke2.config.flag import Command, Flag, FlagKind
from rke2.config.flags import aliases_of, flags_of
from rke2.config.yamlfile import Scalar, YamlEntry, read_entries
from rke2.errors import ConfigError, UnknownKeyError

logger = logging.getLogger(__name__)

_REMOTE = ("http://", "https://")
_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class UnknownKey:
    """A key that is no flag: a sentence about it and what to do."""

    sentence: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.sentence} ({self.remedy})" if self.remedy else self.sentence


@dataclass(frozen=True)
class FileSettings:
    """What the configuration files say."""

    assignments: tuple[Assignment, ...] = ()
    unknown: tuple[UnknownKey, ...] = ()


def load(command: Command, location: str, *, required: bool) -> FileSettings:
    """Read the configuration file at `location` and its drop-ins.

    Args:
        location: a path or an http(s) URL (which has no drop-ins); empty reads nothing.
        required: a missing main file is an error.

    Raises:
        ConfigError: unreadable file, invalid YAML, or a value of the wrong type, naming file and line.
    """
    entries = [entry for name, text in _texts(location, required) for entry in read_entries(name, text)]
    unknown: list[UnknownKey] = []
    merged: dict[str, list[Assignment]] = {}
    for entry in entries:
        flag = _lookup(command, entry)
        if flag is None:
            if is_of_other(command, entry.key):  # one file may be written for all nodes of a cluster
                logger.info("%s: %s says nothing to `rke2 %s`", entry.source, entry.key, command)
                continue
            clause, remedy = explain_unknown(command, entry.key)
            unknown.append(UnknownKey(f"{entry.source}: {entry.key} {clause}", remedy))
        else:
            earlier = merged.get(flag.name, []) if entry.appends else []
            merged[flag.name] = [*earlier, *_assignments(flag, entry)]
    return FileSettings(tuple(item for items in merged.values() for item in items), tuple(unknown))


def refuse_unknown(unknown: Sequence[UnknownKey], *, only_warn: bool) -> None:
    """Say which keys of the files are no flags.

    Args:
        only_warn: warn and skip them, which is what RKE2 does.

    Raises:
        UnknownKeyError: there is one and `only_warn` is off.
    """
    if only_warn:
        for key in unknown:
            logger.warning("skipping unknown key: %s", key)
    elif len(unknown) == 1:
        switch = "--warn-unknown-keys skips unknown keys instead"
        remedy = f"{unknown[0].remedy} ({switch})" if unknown[0].remedy else switch
        raise UnknownKeyError(unknown[0].sentence, remedy)
    elif unknown:
        raise UnknownKeyError(
            "\n  ".join([f"{len(unknown)} unknown keys:", *map(str, unknown)]),
            "correct them, or skip unknown keys with --warn-unknown-keys",
        )


# --- reading -----------------------------------------------------------------------------------------------
def _texts(location: str, required: bool) -> Iterator[tuple[str, str]]:
    """Name and content of every file, the main one first."""
    if location.startswith(_REMOTE):
        from rke2.config.fetch import fetch

        yield location, fetch(location)
    elif location:
        main = Path(location)
        if required or main.exists():
            yield str(main), _read(main)
        for path in _dropins(main):
            yield str(path), _read(path)


def _dropins(main: Path) -> list[Path]:
    folder = main.with_name(main.name + ".d")
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if path.suffix.lower() in _SUFFIXES and path.is_file())
    return sorted(files)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(
            f"configuration file {path} does not exist", "create it or correct --config"
        ) from None
    except UnicodeDecodeError as error:
        raise ConfigError(f"configuration file {path} is not UTF-8 text: {error.reason}") from None
    except OSError as error:
        raise ConfigError(f"configuration file {path} cannot be read: {error.strerror}") from None


# --- types -------------------------------------------------------------------------------------------------
def _lookup(command: Command, entry: YamlEntry) -> Flag | None:
    flag = flags_of(command).get(entry.key)
    if flag is None and len(entry.key) == 1:
        flag = aliases_of(command).get(entry.key)
    if flag is not None and not flag.file:
        raise ConfigError(
            f"{entry.source}: {flag.name} cannot be set in a configuration file",
            "give it on the command line or in the environment",
        )
    return flag


def _assignments(flag: Flag, entry: YamlEntry) -> list[Assignment]:
    takes_list = flag.kind is FlagKind.LIST or entry.appends
    if entry.shape not in ("nothing", "a scalar") and not (takes_list and entry.shape == "a list"):
        raise _wrong_type(flag, entry, entry.shape)
    return [Assignment(flag, _text(flag, entry, scalar), entry.source) for scalar in entry.scalars]


def _text(flag: Flag, entry: YamlEntry, scalar: Scalar) -> str:
    if scalar.empty:
        raise _wrong_type(flag, entry, "a list with an empty item")
    if flag.kind is FlagKind.BOOL and scalar.boolean is not None:
        return str(scalar.boolean).lower()
    if flag.kind is not FlagKind.LIST and scalar.boolean is not None:
        raise _wrong_type(
            flag,
            entry,
            f"the boolean {scalar.text}",
            f'write "{scalar.text}" in quotes if it is meant as text',
        )
    return scalar.text


def _wrong_type(flag: Flag, entry: YamlEntry, got: str, remedy: str = "") -> ConfigError:
    expected = {FlagKind.LIST: "a list or a string", FlagKind.INT: "an integer"}.get(
        flag.kind, f"a {flag.kind.value}"
    )
    return ConfigError(f"{entry.source}: {entry.key} must be {expected}, not {got}", remedy)
