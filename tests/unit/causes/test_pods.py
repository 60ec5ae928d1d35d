"""One row for each cause: what Kubernetes and containerd say, and what an operator reads."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from rke2.causes.pods import CAUSES, Seen, Why, needs_events, why
from tests.unit.causes.recorded import (
    ENDED_AT,
    IMAGE,
    UNRESOLVED,
    UNSCHEDULABLE,
    Object,
    container,
    crashes,
    ended,
    event,
    node,
    pod,
    unscheduled,
    waits,
)

NOW = datetime.fromisoformat(ENDED_AT).replace(tzinfo=UTC).timestamp() + 30
CREATING = waits("ContainerCreating")
OFFLINE = "dial tcp: lookup registry.invalid on 10.89.0.1:53: read: connection refused"
SANDBOX = (
    "Failed to create pod sandbox: rpc error: code = Unknown desc = failed to setup network for sandbox "
    f'"{"0a" * 32}": plugin type="portmap" failed (add): failed to open iptables: exec: "iptables": executable file '
    "not found in $PATH"
)
RUNC = (
    "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
    'unable to start container process: exec: "/no/such/program": stat /no/such/program: no such file or directory'
)
LIVENESS = 'Liveness probe failed: Get "http://10.42.0.10:8080/healthz": dial tcp: connection refused'
KILLED = "Container c failed liveness probe, will be restarted"
LIMITED = {"containers": [{"name": "c", "image": IMAGE, "resources": {"limits": {"memory": "16Mi"}}}]}


def seen(
    of: Object, *events: Object, nodes: tuple[Object, ...] = (), said: str = "", kubelet: str = ""
) -> Seen:
    return Seen(of, events, nodes, lambda pod, status: said, kubelet, NOW)


TABLE: tuple[tuple[str, Seen, str], ...] = (
    (
        "refused",
        seen(pod(phase="Failed", reason="Evicted", message="The node was low on resource: memory.")),
        "Evicted: The node was low on resource: memory.",
    ),
    (
        "removal",
        seen(pod(CREATING, metadata={"deletionTimestamp": "now", "finalizers": ["example.com/wait"]})),
        "it is being removed; held by the finalizers example.com/wait",
    ),
    (
        "scheduling",
        seen(unscheduled(UNSCHEDULABLE), nodes=(node("server-0", "dedicated=databases:NoSchedule"),)),
        "no node for it: 0/1 nodes are available: 1 node(s) had untolerated taint(s): "
        "dedicated=databases:NoSchedule on server-0",
    ),
    (
        "scheduling",
        seen(unscheduled('0/1 nodes are available: persistentvolumeclaim "data" not found. not found')),
        'no node for it: 0/1 nodes are available: persistentvolumeclaim "data" not found',
    ),
    (
        "scheduling",
        seen(unscheduled("", "SchedulingGated", schedulingGates=[{"name": "example.com/quota"}])),
        "held back from scheduling by the gates example.com/quota",
    ),
    ("no scheduler", seen(pod(node="")), "no scheduler has looked at it yet"),
    (
        "image",
        seen(pod(waits("ErrImagePull", UNRESOLVED))),
        f"image {IMAGE}: {OFFLINE}",
    ),
    (
        "image",
        seen(pod(waits("ImagePullBackOff", f'Back-off pulling image "{IMAGE}": ErrImagePull: {UNRESOLVED}'))),
        f"image {IMAGE}: {OFFLINE}",
    ),
    (
        "image",
        seen(
            pod(
                waits(
                    "ErrImageNeverPull", f'Container image "{IMAGE}" is not present with pull policy of Never'
                )
            )
        ),
        f'image {IMAGE}: Container image "{IMAGE}" is not present with pull policy of Never',
    ),
    (
        "container cannot be made",
        seen(pod(waits("CreateContainerConfigError", 'configmap "settings" not found'))),
        'container c: configmap "settings" not found',
    ),
    (
        "container cannot be made",
        seen(pod(waits("RunContainerError", RUNC, last=ended(128, "StartError", RUNC)))),
        'container c: unable to start container process: exec: "/no/such/program": stat /no/such/program: no such '
        "file or directory",
    ),
    (
        "liveness probe",
        seen(pod(crashes(ended(137))), event("Unhealthy", LIVENESS), event("Killing", KILLED)),
        f"container c is restarted: {LIVENESS}",
    ),
    (
        "memory",
        seen(pod(crashes(ended(137, "OOMKilled")), spec=LIMITED)),
        "container c was killed for using too much memory (limit 16Mi, exit code 137, SIGKILL)",
    ),
    (
        "crash",
        seen(pod(crashes(ended(3))), said="Error: no such database"),
        "container c ended with exit code 3: Error: no such database",
    ),
    (
        "crash",
        seen(pod(container(terminated=ended(4, message="licence expired\n"))), said="what the log says"),
        "container c ended with exit code 4: licence expired",
    ),
    ("crash", seen(pod(crashes(ended(0, "Completed")))), "container c ended with exit code 0"),
    (
        "crash",
        seen(
            pod(
                waits("PodInitializing"),
                initContainerStatuses=[container("i", terminated=ended(5), restarts=3)],
            ),
            said="cannot migrate",
        ),
        "container i ended with exit code 5: cannot migrate",
    ),
    (
        "readiness probe",
        seen(
            pod(container(running={"startedAt": "2026-11-30T07:58:28Z"}), phase="Running"),
            event("Unhealthy", "Readiness probe failed: not yet warm\n"),
        ),
        "Readiness probe failed: not yet warm",
    ),
    (
        "sandbox, volumes and the like",
        seen(
            pod(CREATING), event("Scheduled", version=1), event("FailedCreatePodSandBox", SANDBOX, version=2)
        ),
        'no sandbox: network: CNI plugin portmap: failed to open iptables: exec: "iptables": executable file not '
        "found in $PATH",
    ),
    (
        "sandbox, volumes and the like",
        seen(
            pod(CREATING),
            event("FailedMount", 'MountVolume.SetUp failed for volume "v" : configmap "missing" not found'),
        ),
        'volume "v": configmap "missing" not found',
    ),
    ("the kubelet's log", seen(pod(CREATING), kubelet="no sandbox: no disk"), "no sandbox: no disk"),
    (
        "under way",
        seen(pod(CREATING), event("Pulling", f'Pulling image "{IMAGE}"')),
        f'Pulling image "{IMAGE}"',
    ),
)


@pytest.mark.parametrize(("cause", "seen", "words"), TABLE, ids=[f"{row[0]}: {row[2][:40]}" for row in TABLE])
def test_cause(cause: str, seen: Seen, words: str) -> None:
    (row,) = (row for row in CAUSES if row.name == cause)
    assert why(seen) == Why(words, row.passing)
    assert row.look(seen) == words


def test_every_cause_of_the_table_is_here() -> None:
    assert [row.name for row in CAUSES] == list(dict.fromkeys(row[0] for row in TABLE))


@pytest.mark.parametrize(
    "well",
    [
        pod(container(ready=True, running={}), phase="Running"),
        pod(container(ready=True, running={}, last=ended(1)), phase="Running"),
        # A Job's container may end well, and so may an init container.
        pod(
            container(terminated=ended(0, "Completed")),
            phase="Succeeded",
            spec={"restartPolicy": "OnFailure"},
        ),
        pod(CREATING, initContainerStatuses=[container("i", ready=True, terminated=ended(0, "Completed"))]),
    ],
)
def test_of_what_is_well_nothing_is_said(well: Object) -> None:
    assert why(seen(well)) == Why()


def test_what_failed_before_and_has_succeeded_since_is_over() -> None:
    failed = event("FailedCreatePodSandBox", SANDBOX, "2026-11-30T07:59:00Z")
    pulling = event("Pulling", "Pulling image", "2026-11-30T07:59:04Z")
    assert why(seen(pod(CREATING), failed, pulling)) == Why("Pulling image", passing=True)
    assert why(seen(pod(CREATING), failed, event("Started", "", "2026-11-30T07:59:09Z"))) == Why()


def test_a_crash_long_ago_does_not_hide_what_the_probe_says_now() -> None:
    runs = pod(container(running={}, last=ended(1), restarts=1), phase="Running")
    unready = event("Unhealthy", "Readiness probe failed: cold")
    assert why(seen(runs, unready)).words == "container c ended with exit code 1"
    later = Seen(runs, (unready,), now=NOW + 3600)
    assert why(later).words == "Readiness probe failed: cold"


@pytest.mark.parametrize(
    ("of", "asked"),
    [
        (pod(CREATING), True),
        (pod(container(running={}), phase="Running"), True),
        (pod(crashes(ended(1))), True),
        (unscheduled(UNSCHEDULABLE), False),
        (pod(waits("ErrImagePull", UNRESOLVED)), False),
        (pod(crashes(ended(137, "OOMKilled"))), False),
    ],
)
def test_events_are_asked_for_only_where_the_status_leaves_the_cause_open(of: Object, asked: bool) -> None:
    assert needs_events(of) is asked
