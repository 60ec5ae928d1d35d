"""``rke2 etcd-snapshot``: has a server take, list and remove snapshots of its etcd, over port 9345."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from rke2.cli.etcd_snapshot_options import DRY_RUN, FLAGS, LAST, OUTPUT, YES, Options, read
from rke2.cli.logging_setup import set_up
from rke2.cli.server_request import ask_server, stored_token
from rke2.columns import aligned
from rke2.config.flag import Flag, FlagKind
from rke2.config.paths import Paths
from rke2.config.s3 import store_of
from rke2.errors import EtcdError, JoinError, S3Error, UsageError
from rke2.snapshots import s3_request
from rke2.snapshots.record import DrillVerdict
from rke2.snapshots.request import (
    DELETE,
    LIST,
    PRUNE,
    SAVE,
    VERIFIED,
    SnapshotAnswer,
    SnapshotRequest,
    VerifyRequest,
    parse_answer,
)

if TYPE_CHECKING:
    from rke2.join.client import Supervisor


log = logging.getLogger(__name__)

SECONDS = 120.0
"""How long RKE2's command line waits for an answer. A save that takes longer goes on at the server."""
VERIFY_SECONDS = 3600.0
_HEADER = ("Name", "Location", "Size", "Created", "Verified")
"""RKE2's, and ours last."""


def run(argv: Sequence[str]) -> int:
    """Do what the verb says.

    Raises:
        UsageError, ConfigError: the command line or the configuration cannot be used.
        JoinError: the server refuses, fails or does not answer.
    """
    options = read(argv)
    if options.help or not options.words:
        print(_help())
        return 0
    verb, *words = options.words
    action = VERBS.get(verb)
    if action is None:
        raise UsageError(f"{verb!r} is not a verb of `rke2 etcd-snapshot`", "see `rke2 etcd-snapshot --help`")
    set_up(debug=options.on("debug"))
    action(options, words)
    return 0


# --- verbs -----------------------------------------------------------------------------------------
def _save(options: Options, words: Sequence[str]) -> None:
    _no_words(words)
    request = _request(SAVE, options, [options.text("name")], retention=0)
    answer = _done(options, request)
    for name in answer.created:
        log.info("Snapshot %s saved.", name)
    if not answer.created:
        log.warning("No snapshot was taken: the etcd member of this server is a learner")
    _end(answer)


def _delete(options: Options, words: Sequence[str]) -> None:
    if not words:
        raise UsageError("no snapshots given for removal", "name them; see `rke2 etcd-snapshot ls`")
    answer = _done(options, _request(DELETE, options, list(words)))
    for name in answer.deleted:
        log.info("Snapshot %s deleted.", name)
    for name in words:
        if name not in answer.deleted:
            log.warning("Snapshot %s not found.", name)
    _end(answer)


def _prune(options: Options, words: Sequence[str]) -> None:
    _no_words(words)
    base, kept = options.text("name"), options.number("snapshot-retention")
    answer = _done(options, _request(PRUNE, options, [base], retention=kept))
    for name in answer.deleted:
        log.info("Snapshot %s deleted.", name)
    _end(answer)


def _list(options: Options, words: Sequence[str]) -> None:
    _no_words(words)
    output = options.text("output")
    if output not in OUTPUTS:
        raise UsageError(f"invalid output format: {output}", f"choose from {', '.join(OUTPUTS)}")
    print(OUTPUTS[output](_answer(options, _request(LIST, options))), end="")


def _verify(options: Options, words: Sequence[str]) -> None:
    if len(words) + options.on("last") != 1:
        raise UsageError(
            "name one snapshot to verify, or --last", "`rke2 etcd-snapshot ls` shows the snapshots"
        )
    request = VerifyRequest("".join(words), options.text("dir") or None)
    verdict: DrillVerdict = _understood(_verdict, _asked(options, request))
    if verdict.failure:
        raise EtcdError(
            f"snapshot {verdict.name} does not restore: {verdict.failure}",
            "use another snapshot, and take a new one: rke2 etcd-snapshot save",
        )
    log.info("%s.", verdict.proof)


def _restore(options: Options, words: Sequence[str]) -> None:
    if len(words) != 1:
        raise UsageError(
            "name one snapshot to restore, its path, or its location in S3", "see `rke2 etcd-snapshot ls`"
        )
    from rke2.cli import etcd_restore

    etcd_restore.run(
        Paths(data_dir=Path(options.text("data-dir"))),
        options.text("etcd-server"),
        words[0],
        directory=Path(options.text("dir")) if options.text("dir") else None,
        store=store_of(options) if options.on("s3") or words[0].startswith("s3:") else None,
        dry_run=options.on("dry-run"),
        yes=options.on("yes"),
    )


def _verdict(body: bytes) -> DrillVerdict:
    return msgspec.json.decode(body, type=DrillVerdict)


VERBS: dict[str, Callable[[Options, Sequence[str]], None]] = {
    "save": _save,
    "ls": _list,
    "list": _list,
    "l": _list,
    "delete": _delete,
    "prune": _prune,
    "verify": _verify,
    "restore": _restore,
}
_SUMMARIES = {
    "save": "Take a snapshot now",
    "ls": "List the snapshots (list, l)",
    "delete NAME...": "Remove the snapshots that are named",
    "verify NAME|--last": "Restore a snapshot for a trial, beside the running etcd, and say whether it can be",
    "restore NAME|PATH|s3://...": "Take the whole cluster back to a snapshot; run on one of its servers",
    "prune": "Remove the oldest snapshots of a base name, but for the last --snapshot-retention",
}
"""Each verb with what is written behind it."""


def _end(answer: SnapshotAnswer) -> None:
    """Fail for what could not be done, after what could be has been told.

    Raises:
        S3Error: it is about the copies in S3.
    """
    if answer.errors:
        raise S3Error("; ".join(answer.errors))


def _no_words(words: Sequence[str]) -> None:
    if words:
        raise UsageError(f"this command does not take any arguments, and was given {words[0]!r}")


# --- the server ------------------------------------------------------------------------------------
def _request(operation: str, options: Options, name: list[str] | None = None, **rest: Any) -> SnapshotRequest:
    return SnapshotRequest(
        operation,
        name,
        options.text("dir") or None,
        options.on("snapshot-compress") if options.is_given("snapshot-compress") else None,
        compression=options.text("snapshot-compression") or None,
        s3=s3_request.document(store_of(options)) if options.on("s3") else None,
        **rest,
    )


def _done(options: Options, request: SnapshotRequest) -> SnapshotAnswer:
    answer: SnapshotAnswer = _understood(parse_answer, _answer(options, request))
    return answer


def _asked(options: Options, request: VerifyRequest) -> bytes:
    body = msgspec.json.encode(request)
    return _ask(options, lambda supervisor: supervisor.verify_snapshot(body, VERIFY_SECONDS))


def _answer(options: Options, request: SnapshotRequest) -> bytes:
    seconds = SECONDS + (store_of(options).timeout if request.s3 is not None else 0.0)
    return _ask(options, lambda supervisor: supervisor.snapshot(request.encode(), seconds))


def _ask(options: Options, question: Callable[[Supervisor], Awaitable[bytes]]) -> bytes:
    token = options.text("etcd-token") or stored_token(
        Path(options.text("data-dir")), "--etcd-token and --etcd-server"
    )
    return asyncio.run(ask_server(options.text("etcd-server"), token, question))


def _understood(parse: Callable[[bytes], Any], body: bytes) -> Any:
    try:
        return parse(body)
    except msgspec.DecodeError as error:
        raise JoinError(f"the answer of the server cannot be understood: {error}") from error


# --- what is printed -------------------------------------------------------------------------------
def as_table(body: bytes) -> str:
    """Columns as RKE2's: one blank between them, the last one as it is."""
    rows: list[Sequence[str]] = [_HEADER]
    for item in _understood(msgspec.json.decode, body).get("items") or []:
        spec, status = item.get("spec") or {}, item.get("status") or {}
        notes = (item.get("metadata") or {}).get("annotations") or {}
        row = (
            *(spec.get("snapshotName"), spec.get("location")),
            *(status.get("size"), status.get("creationTime")),
            str(notes.get(VERIFIED) or "-").partition(": ")[0],
        )
        rows.append([str(cell or "") for cell in row])
    return "".join(f"{line}\n" for line in aligned(rows, gap=1))


def as_json(body: bytes) -> str:
    return json.dumps(_understood(msgspec.json.decode, body), indent=4, sort_keys=True) + "\n"


def as_yaml(body: bytes) -> str:
    from rke2 import goyaml

    return goyaml.dump(_understood(msgspec.json.decode, body), sort_keys=True)


OUTPUTS: dict[str, Callable[[bytes], str]] = {"table": as_table, "json": as_json, "yaml": as_yaml}


def _help() -> str:
    verbs = "\n".join(f"   {name:26}  {summary}" for name, summary in _SUMMARIES.items())
    flags = "\n".join(_flag_help(flag, key) for flag, key in FLAGS if not flag.hidden)
    return f"""NAME:
   rke2 etcd-snapshot - Save, list, verify, restore and remove etcd snapshots

USAGE:
   rke2 etcd-snapshot VERB [OPTIONS] [NAME...]

VERBS:
{verbs}

OPTIONS:
{flags}
{_flag_help(OUTPUT, "")} (of ls)
{_flag_help(LAST, "")} (of verify)
{_flag_help(DRY_RUN, "")} (of restore)
{_flag_help(YES, "")} (of restore)
   --help, -h  Show this help"""


def _flag_help(flag: Flag, key: str) -> str:
    names = f"--{flag.name}" + (f", --{key}" if key and key != flag.name else "")
    names += f", -{flag.alias}" if flag.alias else ""
    value = "" if flag.kind is FlagKind.BOOL else " value"
    notes = f" (default: {flag.shown_default})" if flag.shown_default else ""
    notes += f" [${flag.env[0]}]" if flag.env else ""
    notes += "" if flag.supported else " (not supported yet)"
    return f"   {names}{value}  {flag.help}{notes}"
