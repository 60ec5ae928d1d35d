"""A server boots from a private registry alone: no archive, official names, other names there, password, own CA."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2.config.paths import Paths
from rke2.content.runtime.references import DEFAULT_IMAGES
from rke2_lab.cluster import LabCluster
from rke2_lab.follow import until_ready
from rke2_lab.node import LabNode, Role, archives
from rke2_lab.registry import PORT, Registry
from tests import registry as guarded
from tests.cluster.conftest import LABS
from tests.cluster.eventually import eventually
from tests.cluster.labs import CONTENT, gone_afterwards, new_lab
from tests.cluster.nodes import BOOT_SECONDS, require_machine
from tests.integration.registry.certificates import Authority

RULES = Path("/etc/rancher/rke2/registries.yaml")
OURS = {
    "etcd": "hardened-etcd",
    "kube-apiserver": "hardened-kubernetes",
    "pause": "pause",
    "runtime": "rke2-runtime",
    "helm-job": "klipper-helm",
}
"""Component -> name of our image."""


SPELLINGS = {
    "https://url.example/v2/": "url.example",
    "port.example:5000": "port.example:5000",
    "Upper.Example": "Upper.Example",
    "[FD00:0::9]:5000": "[fd00::9]:5000",
    "*": "any.example",
}
"""Key of registries.yaml -> the registry as an image of a pod has it. None of them exists."""


PROVIDER = """#!/bin/sh
grep -o '"image": *"[^"]*"' >> /var/log/provider.log
echo '{"kind": "CredentialProviderResponse", "apiVersion": "credentialprovider.kubelet.k8s.io/v1",
  "cacheKeyType": "Registry", "cacheDuration": "0s",
  "auth": {"docker.io": {"username": "puller", "password": "correct-horse"}}}'
"""

PROVIDERS = """
apiVersion: kubelet.config.k8s.io/v1
kind: CredentialProviderConfig
providers:
  - name: own
    matchImages: [docker.io]
    defaultCacheDuration: 1m
    apiVersion: credentialprovider.kubelet.k8s.io/v1
"""


def rules(address: str, prefix: str, *, password: bool = True) -> str:
    """registries.yaml of a host; `prefix` comes before every name at the registry."""
    mirror = {"endpoint": [f"https://{address}"], "rewrite": {"^(.*)$": f"{prefix}/$1"}}
    mirrors = dict.fromkeys(("docker.io", *SPELLINGS), mirror)
    login = {"auth": {"username": guarded.USER, "password": guarded.PASSWORD}} if password else {}
    config = {**login, "tls": {"ca_file": "/etc/rancher/rke2/registry-ca.crt"}}
    return json.dumps({"mirrors": mirrors if prefix else {}, "configs": {address: config}})


def fill(registry: Registry, authority: Authority) -> None:
    """The registry with all images below ``mirror/``, by our names and those of the official components by theirs."""
    host = registry.host
    server = authority.issue("registry", "127.0.0.1", host.address)
    files = {"tls.crt": server.certificate, "tls.key": server.key}
    for name, file in files.items():
        host.write_file(f"/etc/rancher/rke2/{name}", file.read_bytes())
    host.write_file("/etc/rancher/rke2/registry-ca.crt", authority.certificate.read_bytes())
    host.write_file("/etc/rancher/rke2/htpasswd", guarded.HTPASSWD)
    host.write_file(RULES, rules(f"127.0.0.1:{PORT}", ""))
    registry.start(
        http={
            "tls": {"certificate": "/etc/rancher/rke2/tls.crt", "key": "/etc/rancher/rke2/tls.key"},
        },
        auth={"htpasswd": {"realm": "test", "path": "/etc/rancher/rke2/htpasswd"}},
    )
    for archive in archives(CONTENT):
        registry.push(archive, "https")
    lists = [line for file in CONTENT.glob("*.txt") for line in file.read_text().split() if "/" in line]
    names = [line.removeprefix("docker.io/") for line in lists if line.startswith("docker.io/")]
    official = {
        next(name for name in names if f"/{image}:" in name): DEFAULT_IMAGES[component]
        for component, image in OURS.items()
    }
    pairs = [f"{name}=mirror/{name}" for name in names if name not in official]
    pairs += [f"{old}=mirror/{new}" for old, new in official.items()]
    # As text: a host does not see a checkout below its own /tmp or /var/tmp.
    program = Path(__file__).with_name("alias.py").read_text()
    host.exec([host.python, "-c", program, str(RULES), f"https://127.0.0.1:{PORT}", *pairs], check=True)


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    require_machine()
    guarded.program()
    with gone_afterwards(new_lab(LABS, f"t{os.getpid()}registry")) as lab:
        made = Registry(lab)
        fill(made, Authority(tmp_path_factory.mktemp("pki") / "authority"))
        yield made


@pytest.fixture(scope="module")
def server(registry: Registry) -> LabNode:
    node = place(registry, "server-0", "server")
    until_ready(node, node.start(), BOOT_SECONDS)
    return node


def place(registry: Registry, name: str, role: Role, *, password: bool = True) -> LabNode:
    """A node that has nothing but registries.yaml and the registry's CA."""
    node = LabCluster(registry.lab).enrol(registry.lab.add_host(name), role)
    node.configure()
    ca = registry.host.path("/etc/rancher/rke2/registry-ca.crt").read_bytes()
    node.host.write_file("/etc/rancher/rke2/registry-ca.crt", ca)
    address = f"{registry.host.address}:{PORT}"
    node.host.write_file(RULES, rules(address, "mirror", password=password))
    return node


def test_every_image_has_its_official_name(server: LabNode) -> None:
    assert archives(server.host.path(Paths().images)) == []
    held = server.host.exec(["crictl", "images", "-o", "json"], check=True).stdout
    names = {name for image in json.loads(held)["images"] for name in image["repoTags"]}
    wanted = {f"docker.io/{DEFAULT_IMAGES[component]}" for component in OURS if component != "runtime"}
    assert wanted <= names


def test_our_client_and_containerd_asked_by_the_names_of_the_mirror(
    server: LabNode, registry: Registry
) -> None:
    log = registry.log.read_text()
    name, tag = DEFAULT_IMAGES["runtime"].split(":")
    assert f"/v2/mirror/{name}/manifests/{tag}?ns=docker.io" in log
    assert "/v2/mirror/rke2py/hardened-coredns/manifests/" in log
    assert "/v2/rancher/" not in log


def test_a_restart_pulls_nothing(server: LabNode, registry: Registry) -> None:
    server.signal(signal.SIGTERM)
    eventually(lambda: server.process is None, "rke2 has ended", 30)
    before = registry.log.stat().st_size
    until_ready(server, server.start(), BOOT_SECONDS)
    assert "GET /v2/" not in registry.log.read_text()[before:]


def test_pods_get_their_images_by_every_name_of_a_registry(server: LabNode) -> None:
    registries = [
        "docker.io",
        "index.docker.io",
        "registry-1.docker.io",
        *SPELLINGS.values(),
        "upper.example",
    ]
    names = [f"spelled-{number}" for number in range(len(registries))]
    for name, registry in zip(names, registries, strict=True):
        image = f"--image={registry}/{DEFAULT_IMAGES['pause']}"
        done = server.kubectl("run", name, image, "--image-pull-policy=Always")
        assert done.returncode == 0, done.stderr
    pods = [f"pod/{name}" for name in names]
    done = server.kubectl("wait", "--for=condition=Ready", "--timeout=50s", *pods)
    assert done.returncode == 0, server.kubectl("get", "events", "--field-selector=type=Warning").stdout
    server.kubectl("delete", "--now", *pods)


def test_images_on_demand(server: LabNode) -> None:
    done = server.rke2("images", "pull", DEFAULT_IMAGES["pause"], "--output", "/var/tmp/pause.tar.zst")
    assert done.returncode == 0, done.stderr
    assert server.host.path("/var/tmp/pause.tar.zst").stat().st_size > 100_000
    only = "--disable-default-registry-endpoint"
    done = server.rke2("images", "pull", "rke2py/hardened-flannel:none", only)
    assert done.returncode == 1
    assert "does not have docker.io/rke2py/hardened-flannel:none" in done.stderr
    done = server.rke2("images", "pull", DEFAULT_IMAGES["pause"])
    assert done.returncode == 0, done.stderr
    assert f"docker.io/{DEFAULT_IMAGES['pause']}: sha256:" in done.stdout


@pytest.mark.long
def test_an_agent_whose_password_only_a_credential_provider_knows(
    server: LabNode, registry: Registry
) -> None:
    agent = place(registry, "agent-0", "agent", password=False)
    providers = Path("/var/lib/rancher/credentialprovider")
    agent.host.write_file(providers / "bin/own", PROVIDER, 0o755)
    agent.host.write_file(providers / "config.yaml", PROVIDERS)
    until_ready(agent, agent.start(), BOOT_SECONDS)
    asked = agent.host.path("/var/log/provider.log").read_text()
    assert "docker.io/rancher/rke2-runtime" in asked  # by rke2
    assert "docker.io/rke2py/hardened-flannel" in asked  # by the kubelet
