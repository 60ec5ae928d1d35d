"""Configurations made the way a user makes them: from arguments, a file's text and the environment."""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path

from rke2.config.build import build_config
from rke2.config.commandline import parse
from rke2.config.flag import Command
from rke2.config.model import NodeConfig
from rke2.config.settings import Settings, gather
from rke2.host.identity import HostIdentity

HOST = HostIdentity("Node1.Example.org", {4: ip_address("192.0.2.1"), 6: ip_address("2001:db8::1")})
IPV4_HOST = HostIdentity("node1", {4: ip_address("192.0.2.1")})
IPV6_HOST = HostIdentity("node1", {6: ip_address("2001:db8::1")})

NO_FILE = "--config="
"""Keeps a test from reading the machine's own configuration file."""


def settings(*argv: str, command: Command = "server", environ: Mapping[str, str] | None = None) -> Settings:
    return gather(command, parse(command, [NO_FILE, *argv]), environ or {})


def settings_from(
    file: Path, *argv: str, command: Command = "server", environ: Mapping[str, str] | None = None
) -> Settings:
    return gather(command, parse(command, [f"--config={file}", *argv]), environ or {})


def server(*argv: str, host: HostIdentity = HOST, environ: Mapping[str, str] | None = None) -> NodeConfig:
    return build_config("server", parse("server", [NO_FILE, *argv]), environ or {}, host)


def agent(*argv: str, host: HostIdentity = HOST) -> NodeConfig:
    return build_config("agent", parse("agent", [NO_FILE, *argv]), {}, host)
