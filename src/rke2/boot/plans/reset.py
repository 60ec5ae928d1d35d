"""A cluster reset from its checks to the end of the process: `RESTORE` and `RESET` are its tables of contents."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from rke2.boot import content, host, reset, runtime
from rke2.boot.node import Node
from rke2.boot.plans.row import Row, Step, phases_of
from rke2.boot.process import Boot, run_node
from rke2.config.model import NodeConfig
from rke2.etcd import held
from rke2.lifecycle.phases import Phase


def preparation(check: Step, made: Callable[[Step], Step] = lambda step: step) -> tuple[Row, ...]:
    """The rows in which nothing of the cluster is changed.

    Args:
        check: the first one's step.
        made: of each step, what is done in its place.
    """
    return (
        Row("checks", (), "what can be known before", made(check)),
        Row("host", ("checks",), "free ports, kernel modules", made(host.prepare)),
        Row("content", ("host",), "the runtime image to be unpacked", made(content.runtime_image)),
        Row("containerd", ("content",), "its CRI to answer", made(runtime.containerd)),
        Row("etcd programs", ("containerd",), "the image of etcd", made(reset.programs)),
    )


BEFORE = preparation(reset.check, reset.leaving_nothing)

RESTORE = (
    *BEFORE,
    Row(
        "snapshot",
        ("etcd programs",),
        "the snapshot to be checked and restored",
        reset.leaving_nothing(reset.restore),
    ),
    Row(
        "keys of the snapshot",
        ("snapshot",),
        "etcd on the restored data",
        reset.leaving_nothing(reset.keys_of_snapshot),
    ),
    # Here the changes begin. What the phases above cannot do, they say while everything is as it was.
    Row("static pods", ("keys of the snapshot",), "the control plane to end", reset.static_pods),
    Row("data", ("static pods",), "the data to be exchanged", reset.data),
    Row("keys", ("data",), "keys to be written", reset.keys),
    Row("end", ("keys",), "", reset.finish),
)

RESET = (
    *BEFORE,
    Row("static pods", ("etcd programs",), "the control plane to end", reset.static_pods),
    Row("membership", ("static pods",), "etcd to forget all other members", reset.membership),
    Row("keys", ("membership",), "keys to be written", reset.keys),
    Row("end", ("keys",), "", reset.finish),
)


def phases(boot: Boot) -> list[Phase]:
    """The phases of the reset that the configuration asks for."""
    # The data that go on are not raised by the etcd that looks into them for a moment.
    boot = replace(boot, config=held.configured(boot.config))
    server = boot.config.server
    assert server and server.reset, "no reset"
    return phases_of(RESTORE if server.reset.restore else RESET, Node.assemble(boot))


def run_reset(config: NodeConfig) -> int:
    """Reset the cluster, and end; see `run_node`."""
    return run_node("server", config, phases)
