"""Plans: which rows a node has, and what they then require."""

from __future__ import annotations

from itertools import compress, product
from pathlib import Path

import pytest

from rke2.boot.node import Node
from rke2.boot.plans import server
from rke2.boot.plans.row import Row, always, lacks, phases_of, runs
from rke2.boot.process import Boot
from rke2.config.model import ComponentSettings, JoinSettings, NodeConfig
from rke2.host.facts import detect
from rke2.lifecycle.liveness import Liveness
from rke2.lifecycle.phases import check_order
from rke2.lifecycle.progress import Progress
from rke2.lifecycle.services import Services
from tests.configs import paths_under, server_config

COMPONENTS = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy")


def server_without(root: Path, *components: str) -> NodeConfig:
    return server_config(
        paths_under(root),
        components=dict.fromkeys(components, ComponentSettings(disabled=True)),
        join=JoinSettings("https://192.0.2.9:9345", "secret"),
    )


async def node_of(config: NodeConfig) -> Node:
    progress = Progress(config.paths.status, config.role, "v1")
    return Node.assemble(Boot(config, detect(), progress, Services(), Liveness(print, lambda: None)))


def test_conditions(tmp_path: Path) -> None:
    whole, part = server_without(tmp_path), server_without(tmp_path, "etcd")
    conditions = (always, runs("etcd"), lacks("etcd"))
    assert [when(whole) for when in conditions] == [True, True, False]
    assert [when(part) for when in conditions] == [True, False, True]


async def test_a_row_that_a_node_does_not_have_is_not_required_either(tmp_path: Path) -> None:
    done: list[Node] = []

    async def step(node: Node) -> None:
        done.append(node)

    node = await node_of(server_without(tmp_path, "etcd"))
    plan = [
        Row("first", (), "nothing", step),
        Row("own", ("first",), "its member", step, runs("etcd")),
        Row("remote", ("first",), "another's member", step, lacks("etcd")),
        Row("last", ("own", "remote"), "both", step),
    ]
    phases = phases_of(plan, node)
    assert [(phase.name, phase.requires, phase.waits_for) for phase in phases] == [
        ("first", (), "nothing"),
        ("remote", ("first",), "another's member"),
        ("last", ("remote",), "both"),
    ]
    await phases[-1].run()
    assert done == [node]


def _mixtures() -> list[set[str]]:
    """What may be switched off: not both of etcd and the API server, nor the latter without what works with it."""
    of_the_api = {"kube-apiserver", "kube-controller-manager", "kube-scheduler"}
    choices = [set(compress(COMPONENTS, chosen)) for chosen in product([0, 1], repeat=len(COMPONENTS))]
    return [
        off for off in choices if "kube-apiserver" not in off or (of_the_api <= off and "etcd" not in off)
    ]


@pytest.mark.parametrize("off", _mixtures(), ids=lambda off: ",".join(sorted(off)) or "nothing")
async def test_every_mixture_of_components_has_a_boot_in_order(off: set[str], tmp_path: Path) -> None:
    phases = phases_of(server.PLAN, await node_of(server_without(tmp_path, *off)))
    check_order(phases)
    names = {phase.name for phase in phases}
    assert names & set(COMPONENTS) == set(COMPONENTS) - off
    assert (server.REMOTE_ETCD in names, server.REMOTE_API in names) == (
        "etcd" in off,
        "kube-apiserver" in off,
    )
    assert all(phase.requires for phase in phases[1:]), "only the first begins at once"
