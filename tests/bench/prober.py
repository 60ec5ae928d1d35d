"""Runs inside a test host and notes when the cluster reaches each milestone.

Usage: prober.py KUBECONFIG DNS_IP IMAGE. Prints one JSON object: milestone to Unix time.
"""

from __future__ import annotations

import base64
import http.client
import json
import ssl
import sys
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml

POLL = 0.05
POD = "/api/v1/namespaces/default/pods"


class Api:
    def __init__(self, kubeconfig: Path) -> None:
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        self._address = urlsplit(cluster["server"]).netloc
        ca = base64.b64decode(cluster["certificate-authority-data"]).decode()
        self._tls = ssl.create_default_context(cadata=ca)
        with tempfile.NamedTemporaryFile() as pair:
            for key in ("client-certificate-data", "client-key-data"):
                pair.write(base64.b64decode(user[key]))
            pair.flush()
            self._tls.load_cert_chain(pair.name)

    def request(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        connection = http.client.HTTPSConnection(self._address, context=self._tls, timeout=2)
        try:
            connection.request(
                method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            text = response.read().decode()
            return response.status, json.loads(text) if text.startswith("{") else text
        except OSError:
            return 0, None
        finally:
            connection.close()


def wait(condition: Any) -> float:
    while not condition():
        time.sleep(POLL)
    return time.time()


def main(kubeconfig: str, dns: str, image: str) -> None:
    wait(lambda: Path(kubeconfig).exists() and Path(kubeconfig).stat().st_size)
    api = Api(Path(kubeconfig))
    times = {"apiserver ready": wait(lambda: api.request("GET", "/readyz")[0] == 200)}
    wait(lambda: api.request("POST", POD, _pod(dns, image))[0] in (201, 409))
    times["node Ready"] = wait(lambda: _node_ready(api))
    times["DNS answers in a pod"] = wait(lambda: _phase(api) == "Succeeded")
    print(json.dumps(times))


def _node_ready(api: Api) -> bool:
    status, nodes = api.request("GET", "/api/v1/nodes")
    return status == 200 and any(
        condition["type"] == "Ready" and condition["status"] == "True"
        for node in nodes["items"]
        for condition in node["status"].get("conditions", [])
    )


def _phase(api: Api) -> str:
    status, pod = api.request("GET", f"{POD}/prober")
    return pod["status"]["phase"] if status == 200 else ""


def _pod(dns: str, image: str) -> dict[str, Any]:
    look_up = f"until nslookup kubernetes.default.svc.cluster.local {dns}; do sleep 0.1; done"
    container = {
        "name": "prober",
        "image": image,
        "command": ["sh", "-c", look_up],
        "imagePullPolicy": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "prober"},
        "spec": {"containers": [container], "restartPolicy": "Never"},
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
