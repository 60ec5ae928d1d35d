"""The values of all flags of one command, merged from command line, files, environment and defaults.

RKE2 puts the values of the files before the command line and parses the result: a scalar on the command line
overrides the file, lists accumulate (file first). The environment is asked only if neither sets the flag.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from rke2.config import commandline, files
from rke2.config.assignment import Assignment
from rke2.config.flag import Command, Flag, FlagKind, Value
from rke2.config.flags import flags_of
from rke2.config.redaction import masked_setting
from rke2.config.suggest import did_you_mean
from rke2.config.values import parse_scalar, split_commas
from rke2.errors import ConfigError, NotSupportedError

logger = logging.getLogger(__name__)

DEFAULT = "the default"


@dataclass(frozen=True)
class Setting:
    """The value of one flag and where it comes from."""

    value: Value
    source: str = DEFAULT


@dataclass(frozen=True)
class Settings:
    """Every flag of `command` with its value.

    Args:
        argv: verb and effective flags, files included, as names and values in turn; secrets are masked
            (the form of RKE2's node-args annotation).
    """

    command: Command
    by_name: Mapping[str, Setting]
    argv: tuple[str, ...] = ()

    def text(self, name: str) -> str:
        """Value of a string flag."""
        return str(self._typed(name, str))

    def on(self, name: str) -> bool:
        """Value of a boolean flag."""
        return bool(self._typed(name, bool))

    def number(self, name: str) -> int:
        """Value of an integer flag."""
        value = self._typed(name, int)
        assert isinstance(value, int)
        return value

    def seconds(self, name: str) -> float:
        """Value of a flag that is a duration."""
        value = self._typed(name, float)
        assert isinstance(value, float)
        return value

    def items(self, name: str) -> tuple[str, ...]:
        """Values of a list flag; split on commas where the flag allows that."""
        value = self._typed(name, tuple)
        assert isinstance(value, tuple)
        return value

    def has(self, name: str) -> bool:
        """The command has this flag (`server` has flags that `agent` lacks)."""
        return name in self.by_name

    def is_given(self, name: str) -> bool:
        """Anything but the default set the flag."""
        return name in self.by_name and self.by_name[name].source != DEFAULT

    def invalid(self, name: str, value: object, reason: str, remedy: str = "") -> ConfigError:
        """The error that says that `value` of the flag `name` is wrong, and where it was set."""
        source, shown = self.by_name[name].source, masked_setting(flags_of(self.command)[name], str(value))
        return ConfigError(f"{name}: invalid value {shown!r} (set by {source}): {reason}", remedy)

    def _typed(self, name: str, kind: type) -> Value:
        value = self.by_name[name].value
        assert isinstance(value, kind), f"{name} is no {kind.__name__}"
        return value


def gather(command: Command, typed: commandline.CommandLine, environ: Mapping[str, str]) -> Settings:
    """Merge the command line with the configuration files and the environment.

    Raises:
        ConfigError: a file cannot be read, a key does not exist, or a value has the wrong type.
        NotSupportedError: a flag or value of RKE2 that this release does not implement is set.
    """
    location, required = _location(command, typed, environ)
    from_files = files.load(command, location, required=required)
    assignments = (*from_files.assignments, *typed.assignments)
    settings = Settings(command, dict(_resolve(command, assignments, environ)), _argv(command, assignments))
    files.refuse_unknown(from_files.unknown, only_warn=settings.on("warn-unknown-keys"))
    for name, flag in flags_of(command).items():
        _check(flag, settings, settings.by_name[name])
    return settings


def _location(
    command: Command, typed: commandline.CommandLine, environ: Mapping[str, str]
) -> tuple[str, bool]:
    """Where the configuration file is, and whether it has to exist. The environment wins over the flag."""
    flag = flags_of(command)["config"]
    from_env = environ.get(flag.env[0])
    if from_env:
        return from_env, True
    given = [item.text for item in typed.assignments if item.flag.name == "config"]
    return (given[-1], True) if given else (str(flag.initial), False)


def _argv(command: Command, assignments: Sequence[Assignment]) -> tuple[str, ...]:
    pairs = ((f"--{item.flag.name}", item.shown) for item in assignments)
    return (command, *(word for pair in pairs for word in pair))


def _resolve(
    command: Command, assignments: Sequence[Assignment], environ: Mapping[str, str]
) -> Iterator[tuple[str, Setting]]:
    by_flag: dict[str, list[Assignment]] = {}
    for item in assignments:
        by_flag.setdefault(item.flag.name, []).append(item)
    for name, flag in flags_of(command).items():
        given = by_flag.get(name) or _from_environment(flag, environ)
        yield name, _setting(flag, given) if given else Setting(flag.initial)


def _from_environment(flag: Flag, environ: Mapping[str, str]) -> list[Assignment]:
    for variable in flag.env:
        if environ.get(variable):
            if variable != flag.env[0]:
                logger.warning("environment variable %s is deprecated, use %s", variable, flag.env[0])
            return [Assignment(flag, environ[variable], f"environment variable {variable}")]
    return []


def _setting(flag: Flag, given: Sequence[Assignment]) -> Setting:
    """Lists accumulate, of scalars the last one wins (and only that one is looked at)."""
    last = given[-1]
    if flag.kind is FlagKind.LIST:
        items = tuple(item.text for item in given)
        return Setting(split_commas(items) if flag.split else items, last.source)
    try:
        return Setting(parse_scalar(flag.kind, last.text), last.source)
    except ValueError as error:
        raise ConfigError(
            f"{flag.name}: invalid value {last.shown!r} (set by {last.source}): {error}"
        ) from None


# --- what this release implements --------------------------------------------------------------------------
def _check(flag: Flag, settings: Settings, setting: Setting) -> None:
    """Refuse unknown values of enumerations and whatever is not supported yet."""
    if setting.source == DEFAULT or _foreign(setting):
        return
    if setting.value != flag.initial and (refusal := flag.refusal(setting.source)):
        raise NotSupportedError(*refusal)
    if flag.choices or flag.later:
        for value in setting.value if isinstance(setting.value, tuple) else (str(setting.value),):
            _check_choice(flag, settings, value)


def _foreign(setting: Setting) -> bool:
    """AWS_* variables are read by many programs: being present says nothing about rke2."""
    return setting.source.startswith("environment variable AWS_")


def _check_choice(flag: Flag, settings: Settings, value: str) -> None:
    if value in flag.choices or value == flag.initial:
        return
    known = (*flag.choices, *flag.later)
    if value in flag.later:
        remedy = f"use {' or '.join(flag.choices)}" if flag.choices else f"remove {flag.name}"
        raise NotSupportedError(
            f"{flag.name}: {value} is not supported yet (set by {settings.by_name[flag.name].source})", remedy
        )
    expected = f"expected one of {', '.join(known)}"
    raise settings.invalid(flag.name, value, expected, did_you_mean(value, known))
