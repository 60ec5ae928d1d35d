"""The part of the server that leads the restore of a whole cluster: `RESTORE` with a snapshot, `RECOVER` without.

The rows are those of a cluster reset, with the other servers among them; the end is a normal start, where the others
join. Which plan a start has follows from ``restore.json`` (`rke2.recovery.state`).
"""

from __future__ import annotations

from rke2.boot import leading, reset
from rke2.boot.leading import before
from rke2.boot.node import Node
from rke2.boot.plans.reset import preparation
from rke2.boot.plans.row import Row, phases_of
from rke2.boot.process import Boot
from rke2.lifecycle.phases import Phase

BEFORE = preparation(leading.check, before)

AFTER = (
    Row("keys", ("data",), "keys to be written", reset.keys),
    Row("end", ("keys",), "", leading.finish),
)

RESTORE = (
    *BEFORE,
    Row("snapshot", ("etcd programs",), "the snapshot to be checked and restored", before(reset.restore)),
    Row("keys of the snapshot", ("snapshot",), "etcd on the restored data", before(reset.keys_of_snapshot)),
    Row("present state", ("keys of the snapshot",), "a snapshot of it", before(leading.present_state)),
    # Here the changes begin.
    Row("other servers", ("present state",), "their control planes to end", leading.other_servers),
    Row("static pods", ("other servers",), "the control plane to end", reset.static_pods),
    Row("data", ("static pods",), "the data to be exchanged", reset.data),
    *AFTER,
)

RECOVER = (
    *BEFORE,
    Row("present state", ("etcd programs",), "a snapshot of it", before(leading.present_state)),
    Row("other servers", ("present state",), "their control planes to end", leading.other_servers),
    Row("static pods", ("other servers",), "the control plane to end", reset.static_pods),
    Row("data", ("static pods",), "etcd to forget all other members", reset.membership),
    *AFTER,
)


def phases(boot: Boot) -> list[Phase]:
    """The phases of the restore that this server leads."""
    server = boot.config.server
    assert server and server.reset, "no restore"
    return phases_of(RESTORE if server.reset.restore else RECOVER, Node.assemble(boot))
