"""``rke2 upgrade finish``: raise etcd as the last step of an upgrade, when all servers run the new release."""

from __future__ import annotations

import argparse
import asyncio
import sys
from typing import Any

from rke2.config.paths import Paths
from rke2.errors import EtcdError, HostError, UsageError
from rke2.etcd.minor import EtcdMinor
from rke2.upgrade.finish.state import ClusterState, EtcdServers
from rke2.upgrade.finish.steps import Finish, lowest_former, remaining, target


def add_verb(verbs: argparse._SubParsersAction[Any]) -> None:
    """The verb, with its flags."""
    finish = verbs.add_parser(
        "finish", help="raise etcd, which servers hold back until all run the new release"
    )
    finish.add_argument("--yes", action="store_true", help="do not ask")
    finish.add_argument(
        "--undo", action="store_true", help="take a raised etcd back to the former minor version"
    )
    finish.set_defaults(verb=run)


def run(paths: Paths, options: argparse.Namespace) -> int:
    """Do it, or say why not.

    Raises:
        EtcdError, JoinError, HostError: it cannot be done, or not to its end; those that follow were not touched.
        UsageError: nobody can be asked, and ``--yes`` was not given.
    """
    if not (paths.etcd / "name").exists():
        raise HostError(f"there is no etcd member in {paths.etcd}", "run it on a server that has one")
    asyncio.run((_undo if options.undo else _finish)(Finish(EtcdServers(paths), _say), yes=options.yes))
    return 0


def _say(text: str) -> None:
    print(text, flush=True)


async def _finish(work: Finish, *, yes: bool) -> None:
    state = await work.servers.look()
    wanted = target(state)
    _refuse(state, wanted)
    assert wanted
    left = remaining(state, wanted)
    if not left:
        await work.follow_storage(wanted)
        _say(f"etcd {wanted} runs on every server, and the data are of it: nothing is left to do")
        return
    if any(server.minor is None or server.minor > wanted for server in left):
        raise EtcdError(f"a member runs a later etcd than {wanted}", "upgrade the other servers first")
    former = min(server.minor for server in left if server.minor)
    _say(
        f"etcd is raised to {wanted} on {', '.join(server.node for server in left)}, one after the other.\n"
        f"When the last of them runs it, the data become those of etcd {wanted}, and etcd {former} does not start on\n"
        "them any more: a server cannot go back to the former release then. `rke2 upgrade finish --undo` leads back\n"
        "while every member runs and answers; without that only the snapshot that is taken now."
    )
    _agree(yes=yes)
    _say(f"snapshot {await work.save(former)} taken")
    await work.exchange(wanted)
    await work.follow_storage(wanted)
    _say(f"done: etcd {wanted} on every server")


async def _undo(work: Finish, *, yes: bool) -> None:
    state = await work.servers.look()
    _stop(state.troubles())
    former = lowest_former(state)
    if former is None:
        raise EtcdError(
            "not every server knows the etcd that it was raised from",
            "restore the snapshot that was taken before, with the former release: rke2 etcd-snapshot restore",
        )
    if not remaining(state, former):
        _say(f"etcd {former} runs on every server: nothing is left to do")
        return
    _say(f"the data are written for etcd {former} again, then the members go back to it one after the other")
    _agree(yes=yes)
    await work.lower_storage(former)
    await work.exchange(former)
    _say(f'done: etcd {former} on every server, held until "rke2 upgrade finish"')


def _refuse(state: ClusterState, wanted: EtcdMinor | None) -> None:
    if wanted is None:
        brought = ", ".join(f"{each.node} {each.choice.brought}" for each in state.servers if each.choice)
        _stop([*state.troubles(), f"the servers' releases do not bring the same etcd: {brought}"])
    _stop(state.troubles())


def _stop(troubles: list[str]) -> None:
    if troubles:
        raise EtcdError(
            f"etcd is not touched: {'; '.join(troubles)}", "see to that, then run the same command again"
        )


def _agree(*, yes: bool) -> None:
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked whether to go on", "add --yes")
    if input("Go on? Write yes: ").strip() != "yes":
        raise UsageError("not agreed; nothing was changed")
