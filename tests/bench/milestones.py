"""The milestones of a boot: the seconds until the API server answers, the node is Ready, DNS answers in a pod."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from rke2.config.paths import Paths
from rke2_lab.host import LabHost
from rke2_lab.node import LabNode
from tests.cluster import workload

MILESTONES = ("apiserver ready", "node Ready", "DNS answers in a pod")
DNS = "10.43.0.10"
LIMIT = 600
_PROBER = Path(__file__).with_name("prober.py")
Figures = dict[str, float]


def boot(node: LabNode) -> Figures:
    """Start rke2 as a server and wait for the last milestone; the node has the image of `workload`."""
    started = time.time()
    server = node.start()
    try:
        return since(started, probe(node.host, str(Paths().admin_kubeconfig)))
    finally:
        if server.poll() is not None:
            print(node.log.read_text()[-2000:], file=sys.stderr)


def probe(host: LabHost, kubeconfig: str) -> subprocess.Popen[str]:
    """`tests.bench.prober`, started in `host`, which need not see this file: its text is the argument."""
    command = [host.python, "-c", _PROBER.read_text(), kubeconfig, DNS, workload.IMAGE]
    return host.popen(command, stdout=subprocess.PIPE, text=True)


def since(started: float, running: subprocess.Popen[str]) -> Figures:
    """Seconds from `started` (Unix time) to each milestone; waits for the last one."""
    output, _ = running.communicate(timeout=LIMIT)
    return {name: at - started for name, at in json.loads(output).items()}
