"""The timeline of the last boot on a data directory."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from urllib.parse import quote

from rke2.config.paths import Paths
from rke2.errors import HostError, KubeError
from rke2.lifecycle.progress import ProcessStatus, read_status
from rke2.status.api import Api
from rke2.status.asking import FAILURES
from rke2.status.cluster import own_name
from rke2.status.settled import PATHS
from rke2.status.timeline.bars import Timeline
from rke2.status.timeline.boot import of_process
from rke2.status.timeline.cluster import ClusterFacts, Object
from rke2.status.timeline.critical import with_critical

_PULLED = "/api/v1/namespaces/kube-system/events?fieldSelector=reason%3DPulled"

_NO_ANSWER = (*FAILURES, KubeError, ValueError, LookupError)


def look(paths: Paths) -> Timeline:
    """What the boot has written down, with what the API server knows if it answers.

    Raises:
        HostError: no node ever ran on this data directory.
    """
    process = read_status(paths.status)
    if process is None:
        raise HostError(f"no node ever ran in {paths.data_dir}", "start rke2 first, or name --data-dir")
    own = own_name(paths)
    facts = _ask(paths, process, own)
    bars = sorted(of_process(process), key=lambda bar: (bar.kind != "phase", bar.started))
    bars += sorted(facts.bars() if facts else (), key=lambda bar: bar.started)
    return Timeline(
        process.role, own, process.started, process.ready_after, with_critical(bars), facts is not None
    )


def _ask(paths: Paths, process: ProcessStatus, own: str) -> ClusterFacts | None:
    try:
        api = Api(paths, process.role)
        node: Object = api.get(f"/api/v1/nodes/{quote(own)}")
        pods = api.items(f"{PATHS['Pod']}?fieldSelector={quote(f'spec.nodeName={own}')}")
    except _NO_ANSWER:
        return None
    events: Sequence[Object] = []
    # A kubelet may not read events; a pod's steps are then told without its images.
    with contextlib.suppress(*_NO_ANSWER):
        events = api.items(_PULLED) if process.role == "server" else []
    return ClusterFacts(process.started, node, pods, events)
