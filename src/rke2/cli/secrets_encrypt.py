"""control the encryption of Secrets at rest and exchange its keys"""

from __future__ import annotations

import argparse
import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from rke2.cli.parser import Parser
from rke2.cli.server_request import add_flags, ask
from rke2.columns import aligned

SECONDS = 180.0
"""How long a step may take: API servers look for new keys once a minute. (RKE2 waits 10 s, and restarts servers.)"""
ROTATION_SECONDS = 3600.0
"""For the rewriting of all Secrets. (RKE2 gives up after 90 s; its server goes on.)"""
_CONFIG = "/v1-rke2/encrypt/config"


class _Verb(NamedTuple):
    help: str
    body: Mapping[str, Any]
    done: str
    flags: tuple[str, ...] = ()
    seconds: float = SECONDS


_PLAIN = {"force": False, "skip": False}
VERBS = {
    "enable": _Verb(
        "encrypt Secrets when they are written", {"enable": True, **_PLAIN}, "secrets-encryption enabled"
    ),
    "disable": _Verb(
        "write Secrets in the clear", {"enable": False, **_PLAIN}, "secrets-encryption disabled"
    ),
    "prepare": _Verb(
        "add a key, to read with", {"stage": "prepare"}, "prepare completed successfully", ("force",)
    ),
    "rotate": _Verb(
        "encrypt with the new key", {"stage": "rotate"}, "rotate completed successfully", ("force",)
    ),
    "reencrypt": _Verb(
        "encrypt all Secrets with the new key, and drop the former one",
        {"stage": "reencrypt_active"},
        "reencryption started",
        ("force", "skip"),
    ),
    "rotate-keys": _Verb(
        "add a key, encrypt all Secrets with it, and drop the former one",
        {"stage": "rotate_keys", **_PLAIN},
        "keys rotated, reencryption finished",
        seconds=ROTATION_SECONDS,
    ),
}
_FLAGS = {
    "force": ("-f", "whatever the stage is, and whether or not the servers agree"),
    "skip": (None, "keep the former key"),
}
_STATUS = "status"


def run(argv: Sequence[str]) -> int:
    """Do what the first argument says.

    Raises:
        JoinError: the server refuses, or does not answer.
        ConfigError, UsageError: an argument is unusable.
    """
    options = _parser().parse_args(argv or ["--help"])
    if options.verb == _STATUS:
        print(asyncio.run(_status(options)))
        return 0
    verb = VERBS[options.verb]
    body = {**verb.body, **{flag: getattr(options, flag) for flag in verb.flags}}
    asyncio.run(
        ask(options, lambda supervisor: supervisor.put(_CONFIG, json.dumps(body).encode(), verb.seconds))
    )
    print(verb.done)
    return 0


def _parser() -> Parser:
    parser = Parser(prog="rke2 secrets-encrypt", description=f"{__doc__}.")
    verbs = parser.add_subparsers(required=True, metavar="VERB", dest="verb")
    status = verbs.add_parser(_STATUS, help="show the stage and the keys, and whether all servers have them")
    status.add_argument("-o", "--output", choices=("text", "json"), default="text")
    add_flags(status)
    for name, verb in VERBS.items():
        made = verbs.add_parser(name, help=verb.help, description=f"{verb.help}.")
        for flag in verb.flags:
            short, text = _FLAGS[flag]
            made.add_argument(*filter(None, (short, f"--{flag}")), action="store_true", help=text)
        add_flags(made)
    return parser


async def _status(options: argparse.Namespace) -> str:
    found = await ask(options, lambda supervisor: supervisor.encryption_status())
    return as_json(found) if options.output == "json" else as_text(found)


# --- what is printed -------------------------------------------------------------------------------
_JSON_KEYS = ("stage", "activekey", "enable", "hashmatch", "hasherror", "inactivekeys")
_NONE_YET = "Encryption Status: Disabled, no configuration file found"
_HEADER = ("Active", "Key Type", "Name")


def as_json(found: Mapping[str, Any]) -> str:
    """What the server says, in RKE2's order; `hashmatch` is left out when it is false."""
    return json.dumps({key: found[key] for key in _JSON_KEYS if key in found}, indent="\t")


def as_text(found: Mapping[str, Any]) -> str:
    """Lines as RKE2's."""
    if not found.get("stage"):
        return _NONE_YET
    lines = [
        f"Encryption Status: {'Enabled' if found.get('enable') else 'Disabled'}",
        f"Current Rotation Stage: {found['stage']}",
        f"Server Encryption Hashes: {'All hashes match' if found.get('hashmatch') else found.get('hasherror', '')}",
    ]
    return "\n".join([*lines, *_table(found)])


def _table(found: Mapping[str, Any]) -> list[str]:
    marked = [(" *", found.get("activekey")), *(("", key) for key in found.get("inactivekeys") or ())]
    rows = [(mark, *str(key).split(" ", 1)) for mark, key in marked if key]
    if not rows:
        return []
    rows = [_HEADER, tuple("-" * len(title) for title in _HEADER), *rows]
    return ["", *aligned(rows, gap=2)]
