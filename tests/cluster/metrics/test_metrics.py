"""``kubectl top`` and autoscaling, from the packaged metrics-server."""

from __future__ import annotations

from tests.cluster.eventually import eventually
from tests.cluster.namespace import Namespace
from tests.cluster.objects import Object, pod_spec

BUSY = ["sh", "-c", "while :; do :; done"]
MEASURED_SECONDS = 90
"""A pod has figures after two measurements, which are 15 s apart."""
SCALED_SECONDS = 180
"""The autoscaler looks every 15 s, and not at pods that have just started."""


def _busy_deployment(name: str) -> Object:
    """One replica that uses twice the processor time it asks for."""
    labels = {"app": name}
    spec = pod_spec(BUSY)
    spec["containers"][0]["resources"] = {"requests": {"cpu": "50m"}, "limits": {"cpu": "100m"}}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def _columns(namespace: Namespace, *arguments: str) -> list[list[str]]:
    done = namespace.attempt("top", *arguments, "--no-headers")
    return [line.split() for line in done.stdout.splitlines()] if done.returncode == 0 else []


def test_top_tells_what_the_node_uses(namespace: Namespace) -> None:
    def measured() -> list[list[str]]:
        return [row for row in _columns(namespace, "nodes") if row[1].endswith("m") and row[3].endswith("Mi")]

    [[name, cores, _, memory, _]] = eventually(measured, "the node has figures", MEASURED_SECONDS)
    assert name == namespace.node.host.name
    assert int(cores.removesuffix("m")) > 0
    assert int(memory.removesuffix("Mi")) > 100


def test_top_and_the_autoscaler_see_a_busy_pod(namespace: Namespace) -> None:
    namespace.apply(_busy_deployment("busy"))
    namespace.until("condition=Available", "deployment/busy")
    namespace.kubectl("autoscale", "deployment", "busy", "--cpu=50%", "--min=1", "--max=2")

    def busy() -> list[list[str]]:
        return [row for row in _columns(namespace, "pods") if int(row[1].removesuffix("m")) >= 75]

    eventually(busy, "the pod is seen to be busy", MEASURED_SECONDS)
    eventually(
        lambda: namespace.find("deployment", "busy")["status"].get("readyReplicas"),
        "there are two",
        SCALED_SECONDS,
        ok=(2).__eq__,
    )
