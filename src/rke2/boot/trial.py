"""A release that was just switched to proves itself, or ends the node; how an upgrade ended is told by an event."""

from __future__ import annotations

import asyncio
import logging
from functools import partial

from rke2.config.model import NodeConfig
from rke2.config.paths import Paths
from rke2.errors import KubeError, PKIError
from rke2.installation import datastore, journal, proof
from rke2.installation.begin import alone
from rke2.installation.journal import Journal
from rke2.installation.start import Unproven
from rke2.kube.client import Client
from rke2.kube.events import EventRecorder, EventType
from rke2.kube.objects import Object
from rke2.kube.persistence import persist
from rke2.lifecycle.progress import Progress

log = logging.getLogger(__name__)

COMPONENT = "rke2-upgrade"
_POLL = 1.0

_EVENTS: dict[str, tuple[EventType, str]] = {
    "done": ("Normal", "UpgradeSucceeded"),
    "failed": ("Warning", "UpgradeFailed"),
    "rolled-back": ("Warning", "UpgradeRolledBack"),
}


def is_open(config: NodeConfig) -> bool:
    """Whether a release is on trial, or nobody was told yet how an upgrade ended."""
    state = journal.read(config.paths.data_dir)
    return state is not None and (state.step == "proving" or (state.step in _EVENTS and not state.told))


async def follow(config: NodeConfig, progress: Progress) -> None:
    """Prove the release if it is on trial; then tell how the last upgrade ended, unless that was told.

    Raises:
        Unproven: it has not proven itself in time. This ends the node.
    """
    state = journal.read(config.paths.data_dir)
    if state and state.step == "proving":
        await _prove(config, progress, state)
        state = journal.read(config.paths.data_dir)
    if state and state.step in _EVENTS and not state.told:
        await persist("telling how the upgrade ended", partial(_tell, config, state))


async def _prove(config: NodeConfig, progress: Progress, state: Journal) -> None:
    trial = _Trial(config, progress, state.version)
    try:
        async with asyncio.timeout(state.timeout):
            await trial.run()
    except TimeoutError:
        _give_up(
            config,
            state,
            f"has not proven itself within {state.timeout:.0f} s: it still waits for {trial.waits_for}",
        )
        return
    with alone(config.paths):
        now = journal.read(config.paths.data_dir)
        if now and now.step == "proving":  # an operator may have rolled it back in this moment
            journal.advance(config.paths.data_dir, now, "done")
            log.info("the upgrade to %s is done", state.version)


def _give_up(config: NodeConfig, state: Journal, reason: str) -> None:
    """End the node, so that it goes back; where there is no way back, only tell.

    Raises:
        Unproven: it goes back.
    """
    with alone(config.paths):
        now = journal.read(config.paths.data_dir)
        if now and now.step == "proving" and now.no_way_back:
            reason = f"{reason}; there is no way back: {now.no_way_back}"
            log.error("%s %s", state.version, reason)
            journal.advance(config.paths.data_dir, now, "failed", reason=reason)
            return
    raise Unproven(f"{state.version} {reason}")


class _Trial:
    """Asks again and again; `waits_for` says what is missing."""

    def __init__(self, config: NodeConfig, progress: Progress, version: str) -> None:
        self._config, self._progress, self._version = config, progress, version
        self.waits_for = "the boot"

    async def run(self) -> None:
        """Until nothing is missing."""
        while missing := await self._looked():
            if missing != self.waits_for:
                self.waits_for = missing
                log.info("the upgrade to %s waits for %s", self._version, missing)
            await asyncio.sleep(_POLL)

    async def _looked(self) -> str:
        missing = await self._missing()
        # Noted at once, in the journal: a start after a power cut has no etcd to ask.
        await note_no_way_back(self._config.paths)
        return missing

    async def _missing(self) -> str:
        if not self._progress.status.ready:
            running = [phase for phase in self._progress.status.phases if phase.state == "running"]
            return (
                "; ".join(f"{each.name}: {each.detail or each.waits_for}" for each in running) or "the boot"
            )
        try:
            async with client_of(self._config) as client:
                paths = self._config.paths
                return await proof.missing(client, self._config.node.name, self._version, paths.pod_manifests)
        except (KubeError, PKIError) as error:
            return error.message


async def note_no_way_back(paths: Paths) -> None:
    """Note that etcd's data have gone where the former release cannot follow, once they have."""
    state = journal.read(paths.data_dir)
    if state is None or state.no_way_back:
        return
    if why := datastore.no_way_back(state, await datastore.storage_version(paths)):
        with alone(paths):
            state = journal.read(paths.data_dir)
            if state and state.step == "proving":
                journal.note(paths.data_dir, state, no_way_back=why)


def client_of(config: NodeConfig) -> Client:
    """A client that sees this node and its pods: on an agent with the rights of its kubelet."""
    paths = config.paths
    kubeconfig = paths.supervisor_kubeconfig if config.server else paths.kubelet_kubeconfig
    return Client(kubeconfig, COMPONENT, config.node.name)


async def _tell(config: NodeConfig, state: Journal) -> None:
    kind, reason = _EVENTS[state.step]
    name = config.node.name
    about: Object = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "uid": name}}
    async with client_of(config) as client:
        recorder = EventRecorder(client, COMPONENT, name)
        recorder.emit(about, kind, reason, message(state))
        await recorder.flush()
    journal.note(config.paths.data_dir, state, told=True)


def message(state: Journal) -> str:
    """How an upgrade ended."""
    if state.step == "done":
        return f"{state.former} was upgraded to {state.version}"
    how = "was rolled back" if state.step == "rolled-back" else "has failed"
    return f"the upgrade from {state.former} to {state.version} {how}: {state.reason}"
