"""A registry by every way to write its name: what pods pull, and what rke2 pulls itself, from a real one.

It has a CA of its own and a password, so who gets an image got both from the right entry of ``registries.yaml``.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
import yaml

from rke2.components import containerd_config
from rke2.content.images.cri import CRI
from rke2.content.registries.hosts_toml import write_hosts
from rke2.content.registries.relayed import relay_for, through
from rke2.content.registries.settings import load_registries
from rke2.errors import ComponentError
from rke2.host.architecture import oci_architecture
from rke2.host.facts import detect
from rke2.registry.source import RegistryCredentials, Source, Trust
from tests import registry
from tests.binaries import binary
from tests.configs import paths_under, server_config
from tests.containerd import until_up
from tests.integration.registry.certificates import Authority
from tests.isolation import Isolated, isolated
from tests.unit.content.archive_maker import layer

pytestmark = [pytest.mark.root, pytest.mark.content]

IPV4, IPV6 = "192.0.2.1", "fd00::1"
NAMES = (
    "registry-1.docker.io",
    "plain.example",
    "port.example",
    "url.example",
    "upper.example",
    "dot.example",
    "mirror.example",
)
IMAGE = registry.image([layer({"hello": b"world"})], oci_architecture())

OWN = {
    "plain.example": ["plain.example/team/app:v1"],
    "port.example:5000": ["port.example:5000/team/app:v1"],
    "https://url.example/": ["url.example/team/app:v1"],
    "https://url.example:5000/v2": ["url.example:5000/team/app:v1"],
    "Upper.Example": ["upper.example/team/app:v1", "Upper.Example/team/app:v1"],
    "UPPER.example:5000": ["upper.example:5000/team/app:v1", "UPPER.example:5000/team/app:v1"],
    "dot.example.": ["dot.example/team/app:v1"],
    "[fd00::1]": ["[fd00::1]/team/app:v1"],
    "[FD00:0::1]:5000": ["[fd00::1]:5000/team/app:v1", "[FD00:0::1]:5000/team/app:v1"],
}
"""A key of ``configs`` -> images at that registry itself."""

MIRRORED = {
    "docker.io": [
        "team/app:v1",
        "docker.io/team/app:v1",
        "index.docker.io/team/app:v1",
        "registry-1.docker.io/team/app:v1",
    ],
    "m-plain.example": ["m-plain.example/team/app:v1"],
    "m-port.example:5000": ["m-port.example:5000/team/app:v1"],
    "https://m-url.example/v2": ["m-url.example/team/app:v1"],
    "M-Upper.Example": ["m-upper.example/team/app:v1", "M-Upper.Example/team/app:v1"],
    "[fd00::9]:5000": ["[fd00::9]:5000/team/app:v1"],
    "*": ["any.example/team/app:v1", "any.example:5000/team/app:v1", "[fd00::8]/team/app:v1"],
}
"""A key of ``mirrors`` -> images; the registries themselves do not exist."""

HUB = ["docker.io", "index.docker.io", "registry-1.docker.io", "https://index.docker.io/v1/", "Docker.IO"]
ENDPOINTS = [
    "https://mirror.example:5000",
    "mirror.example:5000",
    "https://Mirror.EXAMPLE:5000/v2",
    "https://[fd00:0::1]:5000",
]


@dataclass(frozen=True)
class Guarded:
    """The registry, under all of its names on two ports, and where it can be reached."""

    network: Isolated
    ca: Path

    @property
    def login(self) -> dict[str, dict[str, str]]:
        """What ``configs`` must have for it."""
        user = {"username": registry.USER, "password": registry.PASSWORD}
        return {"auth": user, "tls": {"ca_file": str(self.ca)}}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    registry.program()
    directory = tmp_path_factory.mktemp("names")
    authority = Authority(directory / "pki")
    pair = authority.issue("registry", IPV4, IPV6, *NAMES)
    (directory / "htpasswd").write_text(registry.HTPASSWD)
    (directory / "hosts").write_text(f"127.0.0.1 localhost\n{IPV4} {' '.join(NAMES)}\n")
    with isolated() as network, ExitStack() as servers:
        network.run("ip", "address", "add", f"{IPV6}/128", "dev", "lo")
        assert network.run("mount", "--bind", directory / "hosts", "/etc/hosts").returncode == 0
        for port in (443, registry.PORT):
            tls = {"certificate": str(pair.certificate), "key": str(pair.key)}
            config = registry.configuration(directory / "registry", tls=tls, addr=f":{port}")
            config["auth"] = {"htpasswd": {"realm": "test", "path": str(directory / "htpasswd")}}
            servers.enter_context(registry.serving(network, directory / f"at-{port}", config))
        yield Guarded(network, authority.certificate)


@asynccontextmanager
async def pods(guarded: Guarded, directory: Path, rules: Mapping[str, object]) -> AsyncIterator[CRI]:
    """containerd with `rules`, as a node has it; the registry holds ``team/app:v1``."""
    (file := directory / "registries.yaml").write_text(yaml.safe_dump(rules))
    config = server_config(paths_under(directory), runtime={"snapshotter": "native"})
    containerd_config.write(
        config, containerd_config.render(config, detect(), "pause", load_registries(file), {})
    )
    relay = relay_for(load_registries(file), 5999)
    write_hosts(
        config.paths.containerd_certs_d,
        load_registries(file),
        through=partial(through, relay) if relay else lambda host: host,
    )
    made = CRI(binary("crictl"), config.paths.containerd_socket)
    containerd = binary("containerd")
    arguments = containerd_config.arguments(config.paths, {})
    credentials = RegistryCredentials(registry.USER, registry.PASSWORD)
    source = Source(f"https://{IPV4}:{registry.PORT}/v2", "", credentials, Trust(str(guarded.ca)))
    with (
        guarded.network.running(containerd, *arguments, log=directory / "containerd.log"),
        guarded.network.entered(),
    ):
        await registry.push(source, "team/app", "v1", *IMAGE)
        if relay:
            await relay.start()
        try:
            await until_up(made)
            yield made
        finally:
            if relay:
                await relay.close()


async def refusals(cri: CRI, images: list[str]) -> dict[str, str]:
    """Pull as the kubelet does; why what was not pulled was not."""
    found = {}
    for image in images:
        try:
            await cri.pull(image)
        except ComponentError as error:
            found[image] = str(error)
    return found


def pull_ourselves(guarded: Guarded, directory: Path, images: list[str]) -> None:
    """Pull with rke2's own client."""
    rules = str(directory / "registries.yaml")
    command = [sys.executable, "-m", "rke2", "images", "pull", *images, "--private-registry", rules]
    done = guarded.network.run(*command, "-o", directory / "own.tar", timeout=120)
    assert done.returncode == 0, done.stderr


async def test_what_is_said_of_a_registry_reaches_it_by_every_name(guarded: Guarded, tmp_path: Path) -> None:
    rules = {"configs": dict.fromkeys(OWN, guarded.login)}
    images = [image for group in OWN.values() for image in group]
    async with pods(guarded, tmp_path, rules) as cri:
        assert await refusals(cri, images) == {}
    pull_ourselves(guarded, tmp_path, images)


async def test_mirrors_stand_in_for_a_registry_by_every_name(guarded: Guarded, tmp_path: Path) -> None:
    rules = {
        "mirrors": {
            key: {"endpoint": [ENDPOINTS[number % len(ENDPOINTS)]]} for number, key in enumerate(MIRRORED)
        },
        "configs": {"https://MIRROR.example:5000": guarded.login, "[fd00::1]:5000": guarded.login},
    }
    images = [image for group in MIRRORED.values() for image in group]
    async with pods(guarded, tmp_path, rules) as cri:
        assert await refusals(cri, images) == {}
    pull_ourselves(guarded, tmp_path, images)


async def test_rules_for_names_of_repositories_hold_by_every_name(guarded: Guarded, tmp_path: Path) -> None:
    mirror = {"endpoint": [f"https://{IPV4}:5000"], "rewrite": {"^(.*)/old$": "$1/app"}}
    rules = {
        "mirrors": dict.fromkeys(MIRRORED, mirror),
        "configs": {f"https://{IPV4}:5000/": guarded.login},
    }
    images = [image.replace("/app", "/old") for group in MIRRORED.values() for image in group]
    async with pods(guarded, tmp_path, rules) as cri:
        assert await refusals(cri, images) == {}
    pull_ourselves(guarded, tmp_path, images)


@pytest.mark.parametrize("key", HUB)
async def test_docker_hub_by_every_name(guarded: Guarded, tmp_path: Path, key: str) -> None:
    images = MIRRORED["docker.io"]
    async with pods(guarded, tmp_path, {"configs": {key: guarded.login}}) as cri:
        assert await refusals(cri, images) == {}
    pull_ourselves(guarded, tmp_path, images[-2:])


async def test_a_password_for_all_registries_reaches_those_that_are_named(
    guarded: Guarded, tmp_path: Path
) -> None:
    rules = {
        "mirrors": {"docker.io": {"endpoint": ["https://mirror.example:5000"]}, "plain.example": {}},
        "configs": {"*": guarded.login},
    }
    images = ["team/app:v1", "plain.example/team/app:v1"]
    async with pods(guarded, tmp_path, rules) as cri:
        assert await refusals(cri, images) == {}
    pull_ourselves(guarded, tmp_path, images)
