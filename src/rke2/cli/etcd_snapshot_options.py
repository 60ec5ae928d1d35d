"""The flags of ``rke2 etcd-snapshot``, read as RKE2 reads them: before and after the verb, from the command line, then
config.yaml (under the names that ``rke2 server`` has for them), then the environment.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rke2.config import files
from rke2.config.flag import Flag, FlagKind, Value, boolean, duration, integer, text
from rke2.config.paths import DEFAULT_DATA_DIR
from rke2.config.suggest import did_you_mean
from rke2.config.values import parse_scalar
from rke2.errors import ConfigError, NotSupportedError, UsageError

CONFIG_FILE = "/etc/rancher/rke2/config.yaml"

# A table reads by rows.
# fmt: off
FLAGS: tuple[tuple[Flag, str], ...] = (
    (boolean("debug", "Write debug logs"), "debug"),
    (text("config", "Load configuration from this file", default=CONFIG_FILE, alias="c",
          env=("RKE2_CONFIG_FILE",)), ""),
    (text("log", "Write the log to this file", alias="l", hidden=True, supported=False), ""),
    (boolean("alsologtostderr", "Write the log to standard error as well as to the file", hidden=True,
             supported=False), ""),
    (text("node-name", "Name of this node", env=("RKE2_NODE_NAME",)), "node-name"),
    (text("data-dir", "Directory of all state", default=str(DEFAULT_DATA_DIR), alias="d",
          env=("RKE2_DATA_DIR",)), "data-dir"),
    (text("etcd-token", "Token of the server", default_text="content of <data-dir>/server/token", alias="t",
          secret=True), "etcd-token"),
    (text("etcd-server", "Server to ask", default="https://127.0.0.1:9345", alias="s"), "etcd-server"),
    (text("name", "Base name of the snapshot", default="on-demand"), ""),
    (text("dir", "Directory of snapshots on the server", default_text="as configured there"),
     "etcd-snapshot-dir"),
    (boolean("snapshot-compress", "Compress the snapshot"), "etcd-snapshot-compress"),
    (text("snapshot-compression", "How: zip or zstd", default_text="as configured there"),
     "etcd-snapshot-compression"),
    (integer("snapshot-retention", "How many snapshots prune keeps", default=5), "etcd-snapshot-retention"),
    (boolean("s3", "Also save to, list, remove and prune in S3"), "etcd-s3"),
    (text("s3-endpoint", "S3 endpoint, a host or host:port", default="s3.amazonaws.com"), "etcd-s3-endpoint"),
    (text("s3-endpoint-ca", "CA of the S3 endpoint, a path on the server or base64 PEM"), "etcd-s3-endpoint-ca"),
    (boolean("s3-skip-ssl-verify", "Accept any certificate of the S3 endpoint"), "etcd-s3-skip-ssl-verify"),
    (text("s3-access-key", "S3 access key", env=("AWS_ACCESS_KEY_ID",), secret=True), "etcd-s3-access-key"),
    (text("s3-secret-key", "S3 secret key", env=("AWS_SECRET_ACCESS_KEY",), secret=True), "etcd-s3-secret-key"),
    (text("s3-session-token", "S3 session token", env=("AWS_SESSION_TOKEN",), secret=True),
     "etcd-s3-session-token"),
    (text("s3-bucket", "S3 bucket, which has to exist"), "etcd-s3-bucket"),
    (text("s3-bucket-lookup-type", "How the bucket is addressed: auto, dns or path"),
     "etcd-s3-bucket-lookup-type"),
    (text("s3-region", "S3 region", default="us-east-1"), "etcd-s3-region"),
    (text("s3-folder", "Folder in the bucket"), "etcd-s3-folder"),
    (text("s3-proxy", "Proxy for S3, or none"), "etcd-s3-proxy"),
    (text("s3-config-secret", "Secret in kube-system that holds the S3 settings, if no others are set"),
     "etcd-s3-config-secret"),
    (boolean("s3-insecure", "Use plain http for S3"), "etcd-s3-insecure"),
    (integer("s3-retention", "How many snapshots prune keeps in S3; if not given, snapshot-retention", default=5),
     "etcd-s3-retention"),
    (duration("s3-timeout", "Time limit of each operation on S3", default=300.0), "etcd-s3-timeout"),
)
"""Each flag with its key in config.yaml, which on the command line is an alias of it; empty if it has none."""

OUTPUT = text("output", "table, json or yaml", default="table", alias="o")
"""A flag of ``ls`` alone."""
LAST = boolean("last", "The newest snapshot of the server")
"""A flag of ``verify`` alone."""
DRY_RUN = boolean("dry-run", "Show the plan and change nothing")
YES = boolean("yes", "Do not ask")
"""Flags of ``restore`` alone."""
OF_VERBS = (OUTPUT, LAST, DRY_RUN, YES)
# fmt: on


@dataclass(frozen=True)
class Options:
    """The command line: verb, further words, and every flag with its value."""

    words: tuple[str, ...]
    values: Mapping[str, Value]
    given: frozenset[str]
    help: bool = False

    def text(self, name: str) -> str:
        return str(self.values[name])

    def on(self, name: str) -> bool:
        return bool(self.values[name])

    def number(self, name: str) -> int:
        value = self.values[name]
        assert isinstance(value, int)
        return value

    def seconds(self, name: str) -> float:
        value = self.values[name]
        assert isinstance(value, float)
        return value

    def is_given(self, name: str) -> bool:
        return name in self.given

    def invalid(self, name: str, value: object, reason: str, remedy: str = "") -> ConfigError:
        """The error that says that `value` of the flag `name` is wrong."""
        return ConfigError(f"{name}: invalid value {str(value)!r}: {reason}", remedy)


@dataclass
class _Typed:
    words: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    help: bool = False


def read(argv: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Everything ``rke2 etcd-snapshot`` is told.

    Raises:
        UsageError: a flag nobody knows, or one without its value.
        ConfigError: a value or the configuration file cannot be used.
        NotSupportedError: a flag of RKE2 that this release does not implement.
    """
    typed = _typed(argv)
    if typed.help:
        return Options(tuple(typed.words), {}, frozenset(), help=True)
    found = {**_from_environment(environ), **_from_file(typed, environ), **typed.values}
    values = {flag.name: _value(flag, found) for flag in (*(flag for flag, _ in FLAGS), *OF_VERBS)}
    return Options(tuple(typed.words), values, frozenset(found))


def _names() -> dict[str, Flag]:
    names: dict[str, Flag] = {}
    for flag, key in (*FLAGS, *((flag, "") for flag in OF_VERBS)):
        names |= {name: flag for name in (flag.name, flag.alias, key) if name}
    return names


def _typed(argv: Sequence[str]) -> _Typed:
    names, words, typed = _names(), iter(argv), _Typed()
    for word in words:
        if not word.startswith("-") or word == "-":
            typed.words.append(word)
            continue
        name, equals, value = word.removeprefix("-").removeprefix("-").partition("=")
        if name in ("help", "h"):
            typed.help = True
        elif name not in names:
            raise UsageError(
                f"--{name} is not a flag of `rke2 etcd-snapshot`",
                did_you_mean(name, names) or "see `rke2 etcd-snapshot --help`",
            )
        else:
            flag = names[name]
            typed.values[flag.name] = value if equals else _next(flag, words)
    return typed


def _next(flag: Flag, words: object) -> str:
    if flag.kind is FlagKind.BOOL:
        return "true"
    word = next(words, None)  # type: ignore[call-overload]
    if word is None:
        raise UsageError(f"--{flag.name} needs a value", f"write --{flag.name}=<{flag.kind.value}>")
    return str(word)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        flag.name: environ[variable] for flag, _ in FLAGS for variable in flag.env if environ.get(variable)
    }


def _from_file(typed: _Typed, environ: Mapping[str, str]) -> dict[str, str]:
    """What config.yaml, which is written for ``rke2 server``, says of these flags."""
    location = environ.get("RKE2_CONFIG_FILE") or typed.values.get("config") or ""
    found = files.load("server", location or CONFIG_FILE, required=bool(location))
    by_key = {key: flag for flag, key in FLAGS if key}
    return {by_key[item.flag.name].name: item.text for item in found.assignments if item.flag.name in by_key}


def _value(flag: Flag, found: Mapping[str, str]) -> Value:
    if flag.name not in found:
        return flag.initial
    try:
        value = parse_scalar(flag.kind, found[flag.name])
    except ValueError as error:
        raise ConfigError(f"{flag.name}: invalid value {found[flag.name]!r}: {error}") from None
    if not flag.supported and value != flag.initial:
        raise NotSupportedError(f"{flag.name} is not supported yet", f"remove --{flag.name}")
    return value
