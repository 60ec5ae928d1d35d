"""Kubernetes objects the tests apply."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tests.cluster.workload import IMAGE

Object = dict[str, Any]

PORT = 8080
SERVE_OWN_NAME = ["sh", "-c", f"cat /etc/hostname > /tmp/index.html; exec httpd -f -p {PORT} -h /tmp"]
"""A web server that answers with its pod's name."""
SLEEP = ["sleep", "86400"]
_OF_NGINX = "nginx.ingress.kubernetes.io/"


def pod_spec(command: Sequence[str] = SLEEP, *, serves: str = "", **more: Any) -> Object:
    """The spec of a pod of the tests' own image.

    The programs do not act on SIGTERM as process 1, so that nothing is gained by a long grace period.

    Args:
        serves: path on `PORT` that answers when the pod is ready.
        more: further fields of the spec.
    """
    container: Object = {"name": "main", "image": IMAGE, "command": list(command)}
    if serves:
        container["readinessProbe"] = {"httpGet": {"path": serves, "port": PORT}, "periodSeconds": 1}
    return {"terminationGracePeriodSeconds": 1, "containers": [container], **more}


def pod(
    name: str, command: Sequence[str] = SLEEP, labels: Mapping[str, str] | None = None, **more: Any
) -> Object:
    """A pod.

    Args:
        labels: besides ``app: <name>``.
        more: as of `pod_spec`.
    """
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"app": name, **(labels or {})}},
        "spec": pod_spec(command, **more),
    }


def on(node: str, made: Object) -> Object:
    """A pod, on that node."""
    made["spec"]["nodeName"] = node
    return made


def web(name: str) -> Object:
    """A pod that answers requests with its name."""
    return pod(name, SERVE_OWN_NAME, serves="/")


def web_deployment(name: str, replicas: int) -> Object:
    """A Deployment of such pods, labelled ``app: <name>``."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": pod_spec(SERVE_OWN_NAME, serves="/")},
        },
    }


def service(name: str, app: str, **spec: Any) -> Object:
    """A Service on port 80 for the pods labelled ``app: <app>``."""
    ports = [{"port": 80, "targetPort": PORT}]
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": app}, "ports": ports, **spec},
    }


def policy(name: str, app: str = "guarded", **rules: Any) -> Object:
    """A NetworkPolicy for the pods `app` with rules for the directions given."""
    spec = {
        "podSelector": {"matchLabels": {"app": app}},
        "policyTypes": [direction.title() for direction in rules],
        **rules,
    }
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": name},
        "spec": spec,
    }


def config_map(name: str, namespace: str = "default", **data: str) -> Object:
    """A ConfigMap."""
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def ingress(
    name: str, host: str, *, to: str = "web", path: str = "/", tls: str = "", **annotations: str
) -> Object:
    """An Ingress without a class.

    Args:
        name: of the object.
        host: name of the site.
        to: the service.
        path: prefix.
        tls: name of the secret with its certificate.
        annotations: of the controller, ``_`` for ``-``.
    """
    backend = {"service": {"name": to, "port": {"number": 80}}}
    rule = {"host": host, "http": {"paths": [{"path": path, "pathType": "Prefix", "backend": backend}]}}
    noted = {f"{_OF_NGINX}{key.replace('_', '-')}": value for key, value in annotations.items()}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "Ingress",
        "metadata": {"name": name, "annotations": noted},
        "spec": {"rules": [rule], **({"tls": [{"hosts": [host], "secretName": tls}]} if tls else {})},
    }
