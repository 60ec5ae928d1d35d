"""Requests per second and p99 latency through ingress-nginx, against plain nginx in front of the same pods.

Everything the same but the configuration: plain nginx is that of the controller's image, with as many processes,
kept connections to the pods, an access log and the same claim to the CPU; both serve host ports of one node. The load,
wrk of Debian, comes from another host over connections that are kept. Hosts share the machine's cores: compare the
columns, not the figures.
"""

from __future__ import annotations

import re
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from rke2.config.paths import Paths
from rke2.content.images.tables import list_images
from rke2_lab.follow import until_ready
from rke2_lab.host import LabHost
from rke2_lab.lab import Lab
from rke2_lab.node import LabNode
from tests.bench.content.options import Options
from tests.bench.quiet import until_quiet
from tests.cluster.eventually import eventually
from tests.cluster.namespace import Namespace
from tests.cluster.objects import PORT, Object, ingress, service

SITE = "bench.example"
PLAIN_PORT = 18080
REPLICAS = 2
CONNECTIONS, THREADS, SECONDS, WARM_UP = 32, 2, 10, 3
REQUESTS = {"cpu": "100m", "memory": "90Mi"}
"""The controller's: where the machine is at its limit, a pod without any would get a fiftieth of its share."""
BOOT_SECONDS, POD_SECONDS = 420.0, 240
SETTINGS = "disable: [rke2-metrics-server, rke2-snapshot-controller, rke2-snapshot-controller-crd]\n"
"""What the bench has no use for need not share the machine with it."""

# Of a worker process; the controller's default for connections kept to the pods.
_KEPT = 320

_UPSTREAM = f"""
events {{ worker_connections 16384; }}
pid /tmp/nginx.pid;
http {{
    access_log off;
    keepalive_requests 1000000;
    server {{ listen {PORT}; location / {{ return 200 "hello from the pod\\n"; }} }}
}}
"""
_PROXY = """
worker_processes auto;
events {{ worker_connections 16384; }}
pid /tmp/nginx.pid;
http {{
    access_log /dev/stdout combined;
    keepalive_requests 1000;
    upstream pods {{ {servers} keepalive {kept}; keepalive_requests 10000; }}
    server {{
        listen {port};
        location / {{ proxy_pass http://pods; proxy_http_version 1.1; proxy_set_header Connection ""; }}
    }}
}}
"""


@dataclass(frozen=True)
class Load:
    """What one run of wrk found.

    Attributes:
        p99: milliseconds.
    """

    requests_per_second: float
    p99: float


def measure(options: Options) -> None:
    """Boot a server, load both in turn, and print figures and ratios."""
    if not shutil.which("wrk"):
        print("needs Debian's wrk (make bench-content installs it)")
        return
    with tempfile.TemporaryDirectory(dir="/var/tmp") as scratch:
        lab = Lab(Path(scratch, "lab"), "benchingress")
        try:
            node = _server(lab, options.content)
            _publish(node, _nginx_image(options.archives))
            results = _load(lab.add_host("visitor"), node.host.address, options.runs)
        finally:
            lab.down()
    _print(results)


def _server(lab: Lab, content: Path) -> LabNode:
    node = LabNode(lab.add_host("server-0"))
    node.configure()
    node.place_content(content)
    node.host.write_file(Paths().config_dir / "config.yaml", SETTINGS)
    until_ready(node, node.start(), BOOT_SECONDS)
    return node


def _nginx_image(archives: Iterable[Path]) -> str:
    """The controller's image, which has nginx in it."""
    return next(
        name
        for archive in archives
        for image in list_images(archive)
        for name in image.references
        if "/nginx-ingress-controller:" in name
    )


# --- what is measured ----------------------------------------------------------------------------------
def _publish(node: LabNode, image: str) -> None:
    """The pods, an Ingress for them, and plain nginx in front of them."""
    namespace = Namespace.create(node, "bench")
    namespace.apply(
        _config("upstream", _UPSTREAM), _deployment("upstream", image), service("upstream", "upstream")
    )
    namespace.until("condition=Available", "deployment/upstream", seconds=POD_SECONDS)
    pods = namespace.list("pods", "--selector", "app=upstream")
    servers = " ".join(f"server {pod['status']['podIP']}:{PORT};" for pod in pods)
    proxy = _PROXY.format(servers=servers, kept=_KEPT, port=PLAIN_PORT)
    namespace.apply(_config("plain", proxy), _pod("plain", image, hostNetwork=True))
    namespace.apply(ingress("upstream", SITE, to="upstream"))
    namespace.until("condition=Ready", "pod/plain", seconds=POD_SECONDS)


def _pod(name: str, image: str, **more: object) -> Object:
    """A pod of nginx, configured by the ConfigMap `name`."""
    container = {
        "name": "nginx",
        "image": image,
        "command": ["nginx", "-c", "/bench/nginx.conf", "-g", "daemon off;"],
        "resources": {"requests": REQUESTS},
        "volumeMounts": [{"name": "config", "mountPath": "/bench"}],
    }
    volumes = [{"name": "config", "configMap": {"name": name}}]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name}},
        "spec": {"containers": [container], "volumes": volumes, "terminationGracePeriodSeconds": 1, **more},
    }


def _deployment(name: str, image: str) -> Object:
    pod = _pod(name, image)
    template = {"metadata": {"labels": {"app": name}}, "spec": pod["spec"]}
    spec = {"replicas": REPLICAS, "selector": {"matchLabels": {"app": name}}, "template": template}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name}, "spec": spec}


def _config(name: str, text: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name},
        "data": {"nginx.conf": text},
    }


# --- the load ------------------------------------------------------------------------------------------
def _load(visitor: LabHost, address: str, runs: int) -> dict[str, list[Load]]:
    """Both in turn, so that what else the machine does meets both."""
    urls = {"ingress-nginx": f"http://{address}/", "plain nginx": f"http://{address}:{PLAIN_PORT}/"}
    for name, url in urls.items():
        eventually(partial(_wrk, visitor, url, 1), f"{name} answers", 60, ok=_serves)
        _wrk(visitor, url, WARM_UP)
    results: dict[str, list[Load]] = {name: [] for name in urls}
    for run in range(runs):
        for name, url in urls.items():
            until_quiet()
            print(f"run {run + 1}/{runs}: {name} …", flush=True)
            results[name].append(found(_wrk(visitor, url, SECONDS)))
    return results


def _wrk(visitor: LabHost, url: str, seconds: int) -> str:
    arguments = [
        "--latency",
        f"--threads={THREADS}",
        f"--connections={CONNECTIONS}",
        f"--duration={seconds}",
        "--timeout=10",
    ]
    done: subprocess.CompletedProcess[str] = visitor.exec(
        ["wrk", *arguments, f"--header=Host: {SITE}", url], timeout=seconds + 60
    )
    return done.stdout + done.stderr


def _serves(report: str) -> bool:
    """Whether every answer was a page."""
    return "Requests/sec" in report and "Non-2xx" not in report and "Socket errors" not in report


_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


def found(report: str) -> Load:
    """The figures in what wrk prints."""
    assert _serves(report), report
    rate = re.search(r"Requests/sec:\s+([\d.]+)", report)
    p99 = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", report)
    assert rate and p99, report
    return Load(float(rate[1]), float(p99[1]) * _UNITS[p99[2]])


def _print(results: dict[str, list[Load]]) -> None:
    rate = {
        name: statistics.median(load.requests_per_second for load in runs) for name, runs in results.items()
    }
    p99 = {name: statistics.median(load.p99 for load in runs) for name, runs in results.items()}
    ours, plain = results
    print(f"\n{CONNECTIONS} connections for {SECONDS} s (median){ours:>18}{plain:>14}{'ratio':>8}")
    for label, values in (("requests/s", rate), ("p99, ms", p99)):
        ratio = values[ours] / values[plain]
        print(f"{label:<36}{values[ours]:>18.1f}{values[plain]:>14.1f}{ratio:>8.2f}")
