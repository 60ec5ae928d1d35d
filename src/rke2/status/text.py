"""The report for a terminal: what is well in a line, what is not in a table."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from functools import partial

from rke2.columns import aligned
from rke2.lifecycle.progress import ConnectionStatus, PhaseStatus
from rke2.status.certificates import first_to_end, warnings
from rke2.status.cluster import ClusterStatus, NodeStatus, Pod
from rke2.status.excerpt import excerpt
from rke2.status.health import NO_SERVER
from rke2.status.report import StatusReport

Row = tuple[str, ...]
_table = partial(aligned, gap=2)

MANY_NODES = 10
"""Of more nodes only those are listed that are not as they should be."""

_BALANCERS = {
    "rke2-agent-load-balancer": "supervisor",
    "rke2-api-server-agent-load-balancer": "API server",
    "rke2-etcd-server-load-balancer": "etcd",
}


def as_text(report: StatusReport, *, wide: bool = False, now: float | None = None) -> str:
    """The report in lines.

    Args:
        wide: all tables, also of what is well.
        now: Unix time of the report.
    """
    at = time.time() if now is None else now
    sections = [
        _summary(report, wide=wide),
        _phases(report, at, wide=wide),
        _components(report, wide=wide),
        _members(report, wide=wide),
        _nodes(report, wide=wide),
        _balancers(report),
        _workload(report),
        _pods(report, wide=wide),
        _certificates(report) if wide else [],
    ]
    lines = [*_headline(report, at), *(line for section in sections if section for line in ["", *section])]
    return "\n".join(lines)


def _headline(report: StatusReport, now: float) -> list[str]:
    process = report.process
    if process is None:
        return [report.waiting_for()]
    name = f"rke2 {process.role} {process.version}"
    if report.pid is None:
        silent = not (process.stopping or process.error)
        how = "stopped" if process.stopping else "not running"
        lines = [f"{name}: {how}" + (" (it ended without a word)" if silent else "")]
    else:
        state = "ready" if report.ready else f"waiting for {report.waiting_for()}"
        lines = [f"{name}: running for {_duration(now - process.started)} (pid {report.pid}), {state}"]
    if process.error:
        lines.append(f"  last error: {process.error}")
        if process.remedy:
            lines.append(f"  what to do: {process.remedy}")
    notes = [note for note in _notes(report, now) if note not in lines[0]]
    return lines + [f"  {note}" for note in notes]


def _notes(report: StatusReport, now: float) -> list[str]:
    """What needs attention although this node may be ready."""
    services = report.process.services if report.process and report.pid else {}
    notes = [f"{name}: {service.error}" for name, service in services.items() if service.state == "failed"]
    notes += [f"{about}: {words}" for about, words in _troubles(report).items()]
    notes += _unproven(report)
    notes += _upgrade(report)
    if report.etcd:
        if trouble := report.etcd.trouble():
            notes.append(f"etcd: {trouble}")
        else:
            notes += [f"etcd: the member on {member.node} does not answer" for member in report.etcd.silent]
    if report.process and report.process.etcd_held:
        notes.append(f'etcd v{report.process.etcd_held} held until "rke2 upgrade finish"')
    if any(check.message == NO_SERVER for check in report.health):
        notes.append(
            "what to do: start a server; if one runs, see that this node reaches its ports 9345 and 6443"
        )
    return notes + warnings(report.certificates, datetime.fromtimestamp(now, UTC))


def _upgrade(report: StatusReport) -> list[str]:
    """An upgrade that is under way, or came to no good end; nothing if another release was put here since."""
    state, process = report.upgrade, report.process
    if state is None or process is None or state.step in ("done", "staged"):
        return []
    if state.ended and process.version != state.former:
        return []
    what = {"rolled-back": "was rolled back", "failed": "has failed"}.get(state.step, f"is at {state.step}")
    return [f"the upgrade to {state.version} {what}" + (f": {state.reason}" if state.reason else "")]


def _troubles(report: StatusReport) -> Mapping[str, str]:
    """What the running process has said."""
    process = report.process
    return process.troubles if process and process.pid == report.pid else {}


def _unproven(report: StatusReport) -> list[str]:
    """Snapshots of which a drill has shown that they do not restore, unless the process says so itself."""
    said = " ".join(_troubles(report).values())
    found = report.snapshot.unproven if report.snapshot else ()
    return [f"snapshot {each}" for each in found if each not in said]


# --- what is well ----------------------------------------------------------------------------------


def _summary(report: StatusReport, *, wide: bool) -> list[str]:
    rows = [
        ("boot", "" if wide else _boot(report)),
        ("components", "" if wide else _all_healthy(report)),
        ("etcd", _etcd(report)),
        ("snapshots", _snapshots(report)),
        ("nodes", _count_nodes(report)),
        ("plans", _plans(report)),
        ("pods", "" if wide else _all_settled(report)),
        ("tunnels", ", ".join(_connections(report).tunnels)),
        ("certificates", _ends(report)),
        ("programs", _programs(report)),
    ]
    return _table([row for row in rows if row[1]])


def _boot(report: StatusReport) -> str:
    process = report.process
    if not process or process.ready_after is None or not process.ready:
        return ""
    return f"{len(process.phases)} phases done after {process.ready_after:.1f}s"


def _all_healthy(report: StatusReport) -> str:
    if not all(check.healthy for check in report.health):
        return ""
    return ", ".join(check.component for check in report.health) + (": ok" if report.health else "")


def _etcd(report: StatusReport) -> str:
    etcd = report.etcd
    if not etcd:
        return ""
    learners = len(etcd.members) - len(etcd.voters)
    parts = [_count(len(etcd.voters), "voter")]
    parts += [_count(learners, "learner")] if learners else []
    if etcd.has_leader:
        leaders = [member.node for member in etcd.members if member.role == "leader"]
        parts += [f"leader {leaders[0]}"] if leaders else []
    else:
        parts.append("no leader")
    if etcd.size:
        parts.append(f"database {_mebibytes(etcd.size)} of {_mebibytes(etcd.quota)}")
    return ", ".join(parts)


def _snapshots(report: StatusReport) -> str:
    process = report.process
    schedule = process.snapshots if process else None
    if schedule is None:
        return ""
    last = report.snapshot
    parts = [f"last {_moment(last.taken)} ({_mebibytes(last.size)})"] if last else ["none yet"]
    parts += [f"last proven {_moment(last.proven)}" if last.proven else "none proven yet"] if last else []
    running = report.pid is not None
    parts += [f"next {_moment(schedule.next)}" if schedule.next else "none scheduled"] if running else []
    copied = f" and {schedule.store}" if schedule.store else ""
    return f"{', '.join(parts)}, in {schedule.directory}{copied}"


def _moment(unix: float) -> str:
    """In the time zone of who reads it, which is named."""
    return datetime.fromtimestamp(unix).astimezone().strftime("%Y-%m-%d %H:%M %Z")


def _count_nodes(report: StatusReport) -> str:
    nodes, agents = _all_nodes(report), _connections(report).agents
    if not report.cluster or len(nodes) <= 1:
        return ""
    ready = sum(node.ready for node in nodes)
    connected = f", {len(agents)} connected to this server" if agents else ""
    return f"{ready} of {len(nodes)} Ready{connected}"


def _plans(report: StatusReport) -> str:
    return "; ".join(plan.words for plan in report.cluster.plans) if report.cluster else ""


def _all_settled(report: StatusReport) -> str:
    if not report.cluster or any(not _settled(pod) for pod in report.cluster.pods):
        return ""
    return f"{len(report.cluster.pods)} in kube-system, all running or completed"


def _programs(report: StatusReport) -> str:
    found = report.process.programs if report.process else {}
    return "; ".join(f"{source}: {', '.join(names)}" for source, names in sorted(found.items()))


def _ends(report: StatusReport) -> str:
    leaf = first_to_end(report.certificates, authority=False)
    authority = first_to_end(report.certificates, authority=True)
    parts = [f"next ends {leaf.ends:%Y-%m-%d} ({leaf.name})"] if leaf else []
    parts += [f"CAs {authority.ends:%Y-%m-%d}"] if authority else []
    return ", ".join(parts)


# --- tables ----------------------------------------------------------------------------------------


def _phases(report: StatusReport, now: float, *, wide: bool) -> list[str]:
    process = report.process
    if not process or not process.phases or (process.ready and not wide):
        return []
    rows: list[Row] = [("PHASE", "STATE", "AT", "TOOK", "WAITING FOR")]
    elapsed, alive = now - process.started, report.pid is not None
    return _table(rows + [_phase_row(phase, elapsed, alive=alive) for phase in process.phases])


def _phase_row(phase: PhaseStatus, elapsed: float, *, alive: bool) -> Row:
    at = "" if phase.started is None else f"{phase.started:.1f}s"
    if phase.state == "running":
        since = elapsed - (phase.started or 0)
        state = "running" if alive else "interrupted"
        return phase.name, state, at, f"{since:.1f}s" if alive else "", phase.detail or phase.waits_for
    if phase.state == "pending":
        return phase.name, phase.state, "", "", ", ".join(phase.requires)
    took = "" if phase.seconds is None else f"{phase.seconds:.1f}s"
    return phase.name, phase.state, at, took, ""


def _components(report: StatusReport, *, wide: bool) -> list[str]:
    if not report.health or (_all_healthy(report) and not wide):
        return []
    rows = [(check.component, report.health_of(check)) for check in report.health]
    return _table([("COMPONENT", "HEALTH"), *rows])


def _members(report: StatusReport, *, wide: bool) -> list[str]:
    etcd = report.etcd
    if not etcd or (len(etcd.members) < 2 and not etcd.trouble() and not wide):
        return []
    rows = [("ETCD MEMBER", "ROLE", "STATE", "PEER")]
    for member in etcd.members:
        state = "this node" if member.own else "answers" if member.answers else "does not answer"
        rows.append((member.name or "(not started yet)", member.role, state, member.peer))
    return _table(rows)


def _nodes(report: StatusReport, *, wide: bool) -> list[str]:
    nodes, agents = _all_nodes(report), _connections(report).agents
    if len(nodes) > MANY_NODES and not wide:
        nodes = [node for node in nodes if not node.ready or (agents and node.name not in agents)]
    if not nodes:
        return []
    head: Row = ("NODE", "STATUS", "ROLES", *(["TUNNEL"] if agents else []))
    known = report.cluster is not None
    return _table([head, *(_node_row(node, agents, known=known) for node in nodes)])


def _node_row(node: NodeStatus, agents: dict[str, int], *, known: bool) -> Row:
    status = "Ready" if node.ready else f"NotReady: {node.message}".rstrip(": ") if known else "unknown"
    tunnel = ["connected" if node.name in agents else "not connected"] if agents else []
    return node.name, status, node.roles, *tunnel


def _balancers(report: StatusReport) -> list[str]:
    rows: list[Row] = [
        (_BALANCERS.get(name, name), server.address, server.state, str(server.connections))
        for name, servers in _connections(report).load_balancers.items()
        for server in servers
    ]
    return _table([("LOAD BALANCER", "SERVER", "STATE", "CONNECTIONS"), *rows]) if rows else []


def _workload(report: StatusReport) -> list[str]:
    """What of the system workload is not complete, without the pods that have a line in their own table."""
    cluster = report.cluster or ClusterStatus((), ())
    listed = {("pod", pod.name) for pod in cluster.pods if not _settled(pod)}
    rows = [
        (f"{each.kind} {each.name}", f"{each.state}: {excerpt(each.why)}" if each.why else each.state)
        for each in cluster.unsettled
        if (each.kind, each.name) not in listed
    ]
    return _table([("WORKLOAD (kube-system)", "STATUS"), *rows]) if rows else []


def _pods(report: StatusReport, *, wide: bool) -> list[str]:
    pods: Iterable[Pod] = report.cluster.pods if report.cluster else ()
    rows = [
        (pod.name, pod.ready, pod.state, str(pod.restarts), excerpt(pod.why))
        for pod in pods
        if wide or not _settled(pod)
    ]
    why = ["WHY"] if any(row[-1] for row in rows) else [""]
    return _table([("POD (kube-system)", "READY", "STATUS", "RESTARTS", *why), *rows]) if rows else []


def _certificates(report: StatusReport) -> list[str]:
    rows = [
        (f"{certificate.file}.crt", f"{certificate.ends:%Y-%m-%d}") for certificate in report.certificates
    ]
    return _table([("CERTIFICATE", "ENDS"), *rows]) if rows else []


def _connections(report: StatusReport) -> ConnectionStatus:
    """What the running process says; of one that ended nothing is connected any more."""
    if report.process and report.pid == report.process.pid:
        return report.process.connections
    return ConnectionStatus()


def _all_nodes(report: StatusReport) -> list[NodeStatus]:
    """Those of the cluster; where it cannot be asked, those that are connected."""
    if report.cluster:
        return list(report.cluster.nodes)
    return [NodeStatus(name, False, "") for name in _connections(report).agents]


def _settled(pod: Pod) -> bool:
    ready, _, all_of_them = pod.ready.partition("/")
    return pod.state == "Completed" or (pod.state == "Running" and ready == all_of_them)


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:.0f} MiB" if size >= 10 * 2**20 else f"{size / 2**20:.1f} MiB"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"
