"""manage the tokens with which agents join"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rke2.cli.parser import Parser
from rke2.cli.server_request import add_flags
from rke2.columns import aligned
from rke2.config.paths import DEFAULT_DATA_DIR, Paths
from rke2.errors import ConfigError, JoinError, KubeError, UsageError

if TYPE_CHECKING:
    from rke2.join.bootstrap_tokens import StoredToken
    from rke2.kube.client import Client

_COLUMNS = ("TOKEN", "TTL", "EXPIRES", "USAGES", "DESCRIPTION", "EXTRA GROUPS")
_ROTATION_SECONDS = 120.0
_YELLOW, _PLAIN = "\x1b[33m", "\x1b[0m"
_RECORD_IT = (
    f"{_YELLOW}WARNING{_PLAIN}: Recommended to keep a record of the old token. If restoring from a snapshot, you must "
    "use the token associated with that snapshot."
)
_TYPE_SELECTOR = "type=bootstrap.kubernetes.io/token"


def run(argv: Sequence[str]) -> int:
    """Do what the first argument says.

    Raises:
        KubeError: the API server refuses or does not answer.
        ConfigError, UsageError: an argument is unusable.
    """
    options = _parser().parse_args(argv or ["--help"])
    action: Any = options.action
    if asyncio.iscoroutinefunction(action):
        return int(asyncio.run(action(options)))
    return int(action(options))


# --- verbs -----------------------------------------------------------------------------------------
async def _create(options: argparse.Namespace) -> int:
    from rke2.join.tokens import BootstrapToken, ca_hash
    from rke2.kube.resources import SECRETS

    stored = _wanted(options, datetime.now(UTC))
    kubeconfig = _kubeconfig(options)
    bundle = _cluster_ca(kubeconfig, options)
    async with _client(kubeconfig) as client:
        try:
            await client.create(SECRETS, stored.to_secret())
        except KubeError as error:
            if error.reason == "AlreadyExists":
                raise ConfigError(
                    f"a token with the id {stored.id} exists already",
                    f"`rke2 token delete {stored.id}` removes it",
                ) from error
            raise
    print(BootstrapToken(stored.id, stored.secret, ca_hash(bundle)))
    return 0


async def _list(options: argparse.Namespace) -> int:
    from rke2 import goyaml

    async with _client(_kubeconfig(options)) as client:
        tokens = await _stored(client)
    now = datetime.now(UTC)
    if options.output == "json":
        print(json.dumps([_as_dict(token) for token in tokens], indent=2))
    elif options.output == "yaml":
        print(goyaml.dump([_as_dict(token) for token in tokens], sort_keys=True), end="")
    else:
        print("\n".join(aligned([_COLUMNS, *(_row(token, now) for token in tokens)], gap=3)))
    return 0


async def _delete(options: argparse.Namespace) -> int:
    from rke2.join.bootstrap_tokens import NAMESPACE, secret_name
    from rke2.kube.resources import SECRETS

    ids = [_id_of(text) for text in options.tokens]
    missing = []
    async with _client(_kubeconfig(options)) as client:
        for token_id in ids:
            if await client.delete(SECRETS, secret_name(token_id), NAMESPACE):
                print(f"bootstrap token {token_id} deleted")
            else:
                missing.append(token_id)
    if missing:
        raise ConfigError(f"no such token: {', '.join(missing)}", "see `rke2 token list`")
    return 0


def _generate(_: argparse.Namespace) -> int:
    from rke2.join.bootstrap_tokens import new_token

    print(new_token())
    return 0


async def _rotate(options: argparse.Namespace) -> int:
    from rke2.cli.server_request import ask

    print(_RECORD_IT, file=sys.stderr)
    body = json.dumps({"newToken": options.new_token}).encode()
    await ask(options, lambda supervisor: supervisor.put("/v1-rke2/token", body, _ROTATION_SECONDS))
    print("Token rotated, restart rke2 nodes with new token")
    return 0


# --- arguments -------------------------------------------------------------------------------------
def _parser() -> Parser:
    parser = Parser(prog="rke2 token", description=f"{__doc__}.")
    verbs = parser.add_subparsers(required=True, metavar="VERB")

    def verb(name: str, action: object, text: str, *, api: bool = True) -> argparse.ArgumentParser:
        found = verbs.add_parser(name, help=text, description=f"{text}.")
        found.set_defaults(action=action)
        if api:
            found.add_argument(
                "--kubeconfig", type=Path, help="default: $KUBECONFIG, else the administrator's"
            )
            found.add_argument(
                "-d", "--data-dir", type=Path, default=DEFAULT_DATA_DIR, help=argparse.SUPPRESS
            )
        return found

    create = verb("create", _create, "make a token and print it")
    create.add_argument("token", nargs="?", help="<6 characters>.<16 characters>; random if not given")
    create.add_argument("--description", default="", help="what it is for, shown by list")
    create.add_argument("--ttl", default="24h", help="how long it is valid, like 2h30m; 0: forever (24h)")
    create.add_argument("--usages", action="append", help="authentication, signing (both)")
    create.add_argument("--groups", action="append", help="groups of who joins with it")
    show = verb("list", _list, "show the tokens")
    show.add_argument("-o", "--output", choices=("text", "json", "yaml"), default="text")
    verb("delete", _delete, "delete tokens").add_argument("tokens", nargs="+", help="id, or whole token")
    verb("generate", _generate, "print a random token without making it known to the cluster", api=False)
    rotate = verb("rotate", _rotate, "exchange the server token on all servers", api=False)
    rotate.add_argument(
        "--new-token", default="", help="default: a random one, to be read in <data-dir>/server/token"
    )
    rotate.add_argument("--kubeconfig", help=argparse.SUPPRESS)
    add_flags(rotate)
    return parser


def _wanted(options: argparse.Namespace, now: datetime) -> StoredToken:
    from rke2.join.bootstrap_tokens import DEFAULT_GROUP, USAGES, check_groups, new_token

    usages, groups = _items(options.usages) or list(USAGES), _items(options.groups) or [DEFAULT_GROUP]
    unknown = [usage for usage in usages if usage not in USAGES]
    if unknown:
        raise UsageError(f"--usages: {unknown[0]!r} is unknown", f"choose from {', '.join(USAGES)}")
    try:
        check_groups(groups)
    except ValueError as error:
        raise UsageError(f"--groups: {error}") from None
    if not options.description.isprintable():
        raise UsageError("--description holds characters that cannot be printed")
    expires = _expiry(options.ttl, now)
    token = new_token(description=options.description, expires=expires, usages=usages, groups=groups)
    if options.token:
        given = _parse(options.token)
        token = replace(token, id=given[0], secret=given[1])
    return token


def _items(values: Sequence[str] | None) -> list[str]:
    return [item.strip() for value in values or () for item in value.split(",") if item.strip()]


def _expiry(text: str, now: datetime) -> datetime | None:
    from rke2.kube.duration import parse_duration

    try:
        seconds = float(parse_duration(text))
        if seconds < 0:
            raise ValueError("it is negative")
        return now + timedelta(seconds=seconds) if seconds else None
    except (ValueError, OverflowError) as error:
        raise UsageError(f"--ttl: {error}", "write it like 24h or 30m; 0 means forever") from None


def _parse(text: str) -> tuple[str, str]:
    from rke2.join.tokens import BootstrapToken, parse_token

    try:
        token = parse_token(text)
    except ConfigError:
        token = None
    if not isinstance(token, BootstrapToken):
        raise UsageError(
            "the token is not of the form <6 characters>.<16 characters>, of a-z and 0-9",
            "`rke2 token generate` prints one",
        )
    return token.id, token.secret


def _id_of(text: str) -> str:
    return text if re.fullmatch(r"[a-z0-9]{6}", text, re.ASCII) else _parse(text)[0]


# --- the cluster -----------------------------------------------------------------------------------
def _kubeconfig(options: argparse.Namespace) -> Path:
    path: Path = options.kubeconfig or Path(os.environ.get("KUBECONFIG") or Paths().admin_kubeconfig)
    if not path.exists():
        raise ConfigError(
            f"kubeconfig {path} does not exist", "run this on a server, or name one with --kubeconfig"
        )
    return path


def _client(kubeconfig: Path) -> Client:
    from rke2.kube.client import Client

    return Client(kubeconfig, "rke2-token")


def _cluster_ca(kubeconfig: Path, options: argparse.Namespace) -> bytes:
    """The bundle that supervisors serve: from this server's disk, elsewhere from the kubeconfig, which holds a copy."""
    from rke2.pki.pem import read_file

    if options.kubeconfig is None:
        bundle = read_file(Paths(data_dir=options.data_dir).tls / "server-ca.crt")
        if bundle:
            return bundle
    return _ca_of(kubeconfig)


def _ca_of(kubeconfig: Path) -> bytes:
    from rke2 import goyaml

    try:
        document = goyaml.load(kubeconfig.read_text())
        current = document.get("current-context")
        context = next(each["context"] for each in document["contexts"] if each["name"] == current)
        cluster = next(each["cluster"] for each in document["clusters"] if each["name"] == context["cluster"])
        if "certificate-authority-data" in cluster:
            return base64.b64decode(cluster["certificate-authority-data"])
        return Path(cluster["certificate-authority"]).read_bytes()
    except (
        OSError,
        LookupError,
        AttributeError,
        TypeError,
        ValueError,
        StopIteration,
        goyaml.Error,
    ) as error:
        raise ConfigError(f"kubeconfig {kubeconfig} names no CA of the cluster: {error}") from error


async def _stored(client: Client) -> list[StoredToken]:
    from rke2.join.bootstrap_tokens import NAMESPACE, StoredToken
    from rke2.kube.resources import SECRETS

    found = []
    for secret in (await client.list(SECRETS, NAMESPACE, field_selector=_TYPE_SELECTOR)).items:
        try:
            found.append(StoredToken.from_secret(secret))
        except JoinError as error:
            print(f"rke2: warning: {error.message}", file=sys.stderr)
    return found


# --- the table -------------------------------------------------------------------------------------
def _row(token: StoredToken, now: datetime) -> tuple[str, ...]:
    expires = token.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if token.expires else "<never>"
    return (
        str(token),
        remaining(token.expires, now),
        expires,
        ",".join(token.usages) or "<none>",
        token.description or "<none>",
        ",".join(token.groups) or "<none>",
    )


def remaining(expires: datetime | None, now: datetime) -> str:
    """The time left in its largest unit, as kubeadm shows it."""
    if expires is None:
        return "<forever>"
    seconds = int((expires - now).total_seconds())
    if seconds <= 0:
        return "<invalid>"
    for unit, length in (("y", 365 * 86400), ("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length:
            return f"{seconds // length}{unit}"
    return f"{seconds}s"


def _as_dict(token: StoredToken) -> dict[str, Any]:
    return {
        "token": str(token),
        "description": token.description,
        "expires": token.expires.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if token.expires else None,
        "usages": list(token.usages),
        "groups": list(token.groups),
    }
