"""The Kubernetes API as this node reaches it: its own API server, or its load balancer's."""

from __future__ import annotations

import json
import ssl
from typing import Any

from rke2.config.paths import Paths
from rke2.kube.kubeconfig import ApiCredentials
from rke2.status.asking import TIMEOUT, ask


class Api:
    """Asks with the supervisor's certificate on a server, with the kubelet's on an agent.

    Args:
        timeout: seconds for each answer.

    Raises:
        KubeError: there are no credentials yet, or they are unusable.
    """

    def __init__(self, paths: Paths, role: str, *, timeout: float = TIMEOUT) -> None:
        kubeconfig = paths.supervisor_kubeconfig
        if role == "agent":
            kubeconfig = paths.kubelet_kubeconfig
        self._timeout = timeout
        self.url, self._context, _ = ApiCredentials(kubeconfig).current()

    @property
    def context(self) -> ssl.SSLContext | None:
        return self._context

    def get(self, path: str) -> dict[str, Any]:
        """The object or list at `path`.

        Raises:
            LookupError: there is none.
            ValueError: the answer is an error.
            OSError, http.client.HTTPException: as `ask`.
        """
        found: dict[str, Any] = json.loads(self.text(path))
        return found

    def text(self, path: str) -> str:
        """What is at `path`, as it comes; raises as `get`."""
        return self.text_at(self.url + path)

    def text_at(self, url: str) -> str:
        """What is at `url`, which may be of another API server; raises as `get`."""
        status, body = ask(url, self._context, timeout=self._timeout)
        if status == 404:
            raise LookupError(url)
        if status != 200:
            raise ValueError(f"{url}: HTTP {status}")
        return body

    def items(self, path: str) -> list[dict[str, Any]]:
        """The items of the list at `path`; raises as `get`."""
        found: list[dict[str, Any]] = self.get(path)["items"]
        return found
