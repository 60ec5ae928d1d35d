"""``rke2 lab up``: make hosts and boot a cluster on them."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import yaml

from rke2.config.cni import DEFAULT as DEFAULT_CNI
from rke2.config.cni import archives as cni_archives
from rke2.config.ingress import CONTROLLERS
from rke2.config.ingress import DEFAULT as DEFAULT_INGRESS
from rke2.errors import LabError, UsageError
from rke2_lab import follow, roots
from rke2_lab.cluster import LabCluster
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode, Role, archives
from rke2_lab.registry import Registry


def up(lab: Lab, arguments: argparse.Namespace) -> int:
    """What the command line asks for.

    Returns:
        The exit code.

    Raises:
        UsageError: it contradicts itself, or the cluster that the lab has.
        LabError: there is no content, or the nodes did not become ready in time.
    """
    plan = _planned(arguments)
    if arguments.from_registry and not arguments.content:
        raise UsageError("rke2 lab up: --from-registry needs images", "add --content DIR")
    _require_server(lab, plan)
    _require_same(lab, "cni", arguments.cni, DEFAULT_CNI.name)
    _require_same(lab, "ingress-controller", arguments.ingress, DEFAULT_INGRESS)
    _require_content(lab, [name for name, role in plan.items() if role], arguments.content)
    _require_archives(arguments)
    root = roots.chosen(arguments.root, arguments.content) if arguments.root or not lab.hosts() else ""
    program = arguments.program.absolute() if arguments.program else None
    _require_program(program, root)
    hosts = {lab.add_host(name, root, program): role for name, role in plan.items()}
    for host in hosts:
        print(f"host {host.name}: {host.address} {host.address6}", flush=True)
    registry = _registry(lab, arguments) if arguments.from_registry else ""
    nodes = _nodes(lab, hosts, arguments, registry)
    if nodes:
        _boot(nodes, arguments.timeout)
        _show(lab, nodes, arguments)
    return 0


def _require_program(program: Path | None, root: str) -> None:
    if program is not None and not program.is_file():
        raise UsageError(f"rke2 lab up: --program {program}: no such file", "make it with `make dist`")
    if program is not None and root == "machine":
        raise UsageError(
            "rke2 lab up: --program is for hosts with a root of their own", "leave out `--root machine`"
        )


def _require_server(lab: Lab, plan: Mapping[str, Role | None]) -> None:
    if "agent" in plan.values() and not ("server" in plan.values() or LabCluster(lab).nodes("server")):
        raise UsageError("rke2 lab up: agents need a server to join", "add --servers 1")


def _require_same(lab: Lab, setting: str, value: str | None, default: str) -> None:
    """A cluster keeps what it was made with, and so does a lab."""
    cluster = LabCluster(lab)
    present = cluster.choices.get(setting, default)
    if value and cluster.nodes("server") and value != present:
        option = f"--{setting.removesuffix('-controller')}"
        raise UsageError(
            f"rke2 lab up: {option} {value}, but this lab's cluster has {present}",
            f"leave {option} out, or `rke2 lab down` first, or take another lab (--lab {value})",
        )


def _require_archives(arguments: argparse.Namespace) -> None:
    """Refuse what is chosen here and has no images in ``--content``: nobody would be ready."""
    if not arguments.content:
        return
    present = [archive.name for archive in archives(arguments.content)]
    controllers = [name for name in CONTROLLERS if name == arguments.ingress]
    for name in (*cni_archives(arguments.cni or ""), *controllers):
        if not any(file.startswith(f"rke2-images-{name}.") for file in present):
            raise LabError(
                f"{arguments.content} has no images of {name}", "build all with `make content-all`"
            )


def _require_content(lab: Lab, nodes: Sequence[str], content: Path | None) -> None:
    """Refuse before a host is made: a host has no network to pull images from."""
    if content and not archives(content):
        raise LabError(f"{content} has no image archives", "build them with `make content`")
    prepared = {host.name for host in lab.hosts() if LabNode(host).has_content}
    missing = [name for name in nodes if name not in prepared]
    if missing and not content:
        raise LabError(
            f"{', '.join(missing)}: no content to boot from, and a host has no network to pull it",
            "pass --content DIR (`make content` builds build/dist), or --no-start",
        )


def _planned(arguments: argparse.Namespace) -> dict[str, Role | None]:
    """Names of the hosts, and what rke2 is to be on them; servers first."""
    if arguments.names and arguments.servers is not None:
        raise UsageError("rke2 lab up: NAME and --servers exclude each other", "give one of them")
    count = arguments.servers if arguments.servers is not None else 0 if arguments.hosts else 1
    servers = arguments.names or _numbered("server", count)
    agents = _numbered("agent", arguments.agents)
    plan: dict[str, Role | None] = dict.fromkeys(servers, "server")
    plan |= dict.fromkeys(agents, "agent")
    if arguments.no_start:
        plan = dict.fromkeys(plan)
    return plan | dict.fromkeys(_numbered("host", arguments.hosts))


def _numbered(prefix: str, count: int) -> list[str]:
    return [f"{prefix}-{number}" for number in range(count)]


def _registry(lab: Lab, arguments: argparse.Namespace) -> str:
    """The URL of the lab's registry, which holds the images of ``--content``."""
    registry = Registry(lab)
    registry.start()
    print(f"host {registry.host.name}: {registry.url}; log: {registry.log}", flush=True)
    for archive in archives(arguments.content):
        print(f"  pushing {archive.name}", flush=True)
        registry.push(archive)
    return registry.url


def _nodes(
    lab: Lab, hosts: Mapping[LabHost, Role | None], arguments: argparse.Namespace, registry: str
) -> list[LabNode]:
    """The hosts that are nodes, with configuration and content."""
    cluster = LabCluster(lab)
    chosen = {"cni": arguments.cni, "ingress-controller": arguments.ingress}
    choices = cluster.choices | {name: value for name, value in chosen.items() if value}
    nodes = [cluster.enrol(host, role, choices) for host, role in hosts.items() if role]
    for node in nodes:
        node.configure(arguments.config)
        if registry:
            node.place_drop_ins(arguments.content)
            node.use_registry(registry)
        elif arguments.content:
            node.place_content(arguments.content, choices.get("cni") or _configured_cni(arguments.config))
    return nodes


def _configured_cni(config: Path | None) -> str:
    """The ``cni`` of the nodes' config.yaml in one line; if rke2 will refuse it, any answer will do."""
    content = None
    with suppress(OSError, ValueError, yaml.YAMLError):
        content = yaml.safe_load(config.read_text()) if config else None
    named = content.get("cni") if isinstance(content, dict) else None
    return (",".join(map(str, named)) if isinstance(named, list) else str(named or "")) or DEFAULT_CNI.name


def _boot(nodes: Sequence[LabNode], timeout: float) -> None:
    started = {node: None if node.process else node.start() for node in nodes}
    for node, process in started.items():
        state = "starts" if process else "runs already"
        print(f"rke2 {node.role} on {node.host.name} {state}; log: {node.log}", flush=True)
    follow.until_all_ready(started, timeout)


def _show(lab: Lab, nodes: Sequence[LabNode], arguments: argparse.Namespace) -> None:
    server = LabCluster(lab).nodes("server")[0]
    for command in (["get", "nodes", "-o", "wide"], ["get", "pods", "--all-namespaces"]):
        print(f"\n$ kubectl {' '.join(command)}\n{server.kubectl(*command).stdout}", end="")
    for node in nodes:
        print(f"\n{node.host.name} $ rke2 status\n{node.rke2('status').stdout}", end="")
    options = _options(arguments)
    name = server.host.name
    print(
        f"\nGo on with:\n"
        f"  rke2 lab exec{options} {name} -- kubectl get pods -A\n"
        f"  rke2 lab shell{options} {name}     (kubectl, crictl and KUBECONFIG are set)\n"
        f"  rke2 lab logs{options} {name} -f\n"
        f"  rke2 lab down{options}             (removes everything)\n"
        f"kubeconfig: {server.host.path('/etc/rancher/rke2/rke2.yaml')} (reachable from inside the host only)"
    )


def _options(arguments: argparse.Namespace) -> str:
    state_dir = f" --state-dir {arguments.state_dir}" if arguments.state_dir else ""
    return state_dir + (f" --lab {arguments.lab}" if arguments.lab != "lab" else "")
