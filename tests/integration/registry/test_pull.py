"""Our client against a real registry server, in each way a registry can be guarded."""

from __future__ import annotations

import base64
import gzip
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zstandard
from aiohttp import web

from rke2.config.paths import Paths
from rke2.content.images.pull import pull_image, sources_of
from rke2.content.registries.settings import load_registries
from rke2.content.runtime.image import ensure_runtime
from rke2.errors import ContentError, RegistryError
from rke2.host.architecture import oci_architecture
from rke2.registry.patience import PullPatience
from rke2.registry.pull import PulledImage
from rke2.registry.reference import ImageReference
from rke2.registry.source import RegistryCredentials, Source, Trust
from tests import registry
from tests.configs import server_config
from tests.integration.registry.certificates import Authority
from tests.isolation import Isolated, isolated
from tests.unit.content.archive_maker import layer

pytestmark = pytest.mark.root

ADDRESS = f"192.0.2.1:{registry.PORT}"
NAME = "rke2py/rke2-runtime"
LAYERS = [
    layer({"bin/kubelet": b"k" * 3_000_000}),
    gzip.compress(layer({"bin/runc": b"r"})),
    zstandard.compress(layer({"charts/a.yaml": b"a: 1"})),
]
QUICK = PullPatience(rounds=2, first=0.01)


@pytest.fixture(scope="module")
def network() -> Iterator[Isolated]:
    registry.program()
    with isolated() as made:
        yield made


@contextmanager
def guarded(network: Isolated, directory: Path, **sections: Any) -> Iterator[None]:
    """A registry with the image in it; `sections` are merged into its configuration."""
    config = registry.configuration(directory)
    for key, value in sections.items():
        config[key] = {**config.get(key, {}), **value}
    with registry.serving(network, directory, config), network.entered():
        yield


async def fill(source: Source) -> None:
    foreign = "arm64" if oci_architecture() == "amd64" else "amd64"
    images = {
        foreign: registry.image([layer({"bin/kubelet": b"foreign"})], foreign),
        oci_architecture(): registry.image(LAYERS, oci_architecture()),
    }
    await registry.push_index(source, NAME, "v1.2.3", images)


async def pull(tmp_path: Path, rules: str, reference: str) -> PulledImage:
    (tmp_path / "registries.yaml").write_text(rules)
    settings = server_config(images={"private_registry": tmp_path / "registries.yaml"}).images
    return await pull_image(settings, reference, tmp_path / "blobs", patience=QUICK)


def assert_pulled(tmp_path: Path, image: PulledImage) -> None:
    paths = Paths(data_dir=tmp_path / "rke2", run_dir=tmp_path / "run")
    paths.data.mkdir(parents=True, exist_ok=True)
    content = ensure_runtime(paths, str(image.reference), image)
    assert (content.bin / "kubelet").read_bytes() == b"k" * 3_000_000
    assert (content.bin / "runc").read_bytes() == b"r"
    assert (content.charts / "a.yaml").read_bytes() == b"a: 1"


async def test_plain_and_as_a_mirror_of_docker_hub_with_another_name(
    network: Isolated, tmp_path: Path
) -> None:
    source = Source(f"http://{ADDRESS}/v2")
    with guarded(network, tmp_path / "registry"):
        await fill(source)
        by_endpoint = f"mirrors: {{'{ADDRESS}': {{endpoint: ['http://{ADDRESS}']}}}}"
        assert_pulled(tmp_path, await pull(tmp_path, by_endpoint, f"{ADDRESS}/{NAME}:v1.2.3"))
        mirror = (
            f"mirrors: {{docker.io: {{endpoint: ['http://192.0.2.1:1', 'http://{ADDRESS}'],"
            " rewrite: {'^rancher/(.*)': 'rke2py/$1'}}}"
        )
        assert_pulled(tmp_path, await pull(tmp_path, mirror, "rancher/rke2-runtime:v1.2.3"))
        wildcard = f"mirrors: {{'*': {{endpoint: ['http://{ADDRESS}']}}}}"
        assert_pulled(tmp_path, await pull(tmp_path, wildcard, f"reg.example/{NAME}:v1.2.3"))
        with pytest.raises(ContentError, match=r"does not have docker.io/rke2py/nothing:v1"):
            await pull(tmp_path, mirror, "rke2py/nothing:v1")


async def test_with_a_ca_and_a_client_certificate_of_its_own(network: Isolated, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    server, client = authority.issue("registry", "192.0.2.1"), authority.issue("client")
    tls = {
        "tls": {
            "certificate": str(server.certificate),
            "key": str(server.key),
            "clientcas": [str(authority.certificate)],
        }
    }
    trust = Trust(str(authority.certificate), str(client.certificate), str(client.key))
    source = Source(f"https://{ADDRESS}/v2", trust=trust)
    with guarded(network, tmp_path / "registry", http=tls):
        await fill(source)
        rules = (
            f"configs: {{'{ADDRESS}': {{tls: {{ca_file: {authority.certificate},"
            f" cert_file: {client.certificate}, key_file: {client.key}}}}}}}"
        )
        reference = f"{ADDRESS}/{NAME}:v1.2.3"
        assert_pulled(tmp_path, await pull(tmp_path, rules, reference))
        with pytest.raises(RegistryError, match=r"certificate is not trusted.*tls\.ca_file"):
            await pull(tmp_path, "", reference)
        other = Authority(tmp_path / "other").certificate
        with pytest.raises(RegistryError, match="certificate is not trusted"):
            await pull(tmp_path, f"configs: {{'{ADDRESS}': {{tls: {{ca_file: {other}}}}}}}", reference)
        plain = f"mirrors: {{docker.io: {{endpoint: ['http://{ADDRESS}']}}}}"
        with pytest.raises(RegistryError, match="400"):
            await pull(tmp_path, plain, "rke2py/rke2-runtime:v1.2.3")


async def test_with_a_password(network: Isolated, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "htpasswd").write_text(registry.HTPASSWD)
    auth = {"htpasswd": {"realm": "test", "path": str(tmp_path / "htpasswd")}}
    source = Source(f"http://{ADDRESS}/v2", credentials=RegistryCredentials(registry.USER, registry.PASSWORD))
    reference = f"{ADDRESS}/{NAME}:v1.2.3"
    pair = base64.b64encode(f"{registry.USER}:{registry.PASSWORD}".encode()).decode()
    endpoint = f"mirrors: {{'{ADDRESS}': {{endpoint: ['http://{ADDRESS}']}}}}\n"
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with guarded(network, tmp_path / "registry", auth=auth):
        await fill(source)
        with pytest.raises(RegistryError, match=r"wants credentials.*configs\.192\.0\.2\.1:5000\.auth"):
            await pull(tmp_path, endpoint, reference)
        wrong = f"{endpoint}configs: {{'{ADDRESS}': {{auth: {{username: puller, password: guessed}}}}}}"
        with pytest.raises(RegistryError, match="refuses the credentials"):
            await pull(tmp_path, wrong, reference)
        right = f"{endpoint}configs: {{'{ADDRESS}': {{auth: {{auth: {pair}}}}}}}"
        assert_pulled(tmp_path, await pull(tmp_path, right, reference))
        (tmp_path / "docker").mkdir()
        (tmp_path / "docker/config.json").write_text(json.dumps({"auths": {ADDRESS: {"auth": pair}}}))
        assert_pulled(tmp_path, await pull(tmp_path, endpoint, reference))


async def test_with_tokens_of_another_service(network: Isolated, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "pki")
    issuer = TokenService(authority)
    auth = {
        "token": {
            "realm": "http://192.0.2.1:5001/token",
            "service": "registry.test",
            "issuer": "tests",
            "rootcertbundle": str(authority.certificate),
        }
    }
    credentials = RegistryCredentials(registry.USER, registry.PASSWORD)
    source = Source(f"http://{ADDRESS}/v2", credentials=credentials)
    with guarded(network, tmp_path / "registry", auth=auth):
        runner = web.AppRunner(issuer.application())
        await runner.setup()
        await web.TCPSite(runner, "192.0.2.1", 5001).start()
        try:
            await fill(source)
            endpoint = f"mirrors: {{'{ADDRESS}': {{endpoint: ['http://{ADDRESS}']}}}}\n"
            rules = f"configs: {{'{ADDRESS}': {{auth: {{username: puller, password: correct-horse}}}}}}"
            image = await pull(tmp_path, endpoint + rules, f"{ADDRESS}/{NAME}:v1.2.3")
            assert_pulled(tmp_path, image)
            assert issuer.scopes[-1] == f"repository:{NAME}:pull"
            with pytest.raises(RegistryError, match="wants credentials for a token for rke2py/rke2-runtime"):
                await pull(tmp_path, endpoint, f"{ADDRESS}/{NAME}:v1.2.3")
        finally:
            await runner.cleanup()


class TokenService:
    """Gives tokens for what is asked, to who knows the password."""

    def __init__(self, authority: Authority) -> None:
        self._authority = authority
        self.scopes: list[str] = []

    def application(self) -> web.Application:
        application = web.Application()
        application.router.add_get("/token", self._token)
        return application

    async def _token(self, request: web.Request) -> web.Response:
        pair = base64.b64encode(f"{registry.USER}:{registry.PASSWORD}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {pair}":
            return web.json_response({"errors": [{"message": "who are you"}]}, status=401)
        scope = request.query["scope"]
        self.scopes.append(scope)
        kind, name, actions = scope.split(":")
        access = [{"type": kind, "name": name, "actions": actions.split(",")}]
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": "tests",
            "aud": request.query["service"],
            "sub": registry.USER,
            "access": access,
        }
        claims |= {"nbf": now - 5, "iat": now, "exp": now + 300, "jti": str(len(self.scopes))}
        return web.json_response({"token": self._authority.sign(claims)})


def test_sources_follow_the_rules_of_registries_yaml(tmp_path: Path) -> None:
    file = tmp_path / "registries.yaml"
    file.write_text("mirrors: {docker.io: {endpoint: [https://m1, https://m2/v2/hub]}}")
    sources = sources_of(load_registries(file), ImageReference.parse("busybox"), stored=lambda host: None)
    assert [source.url for source in sources] == [
        "https://m1/v2",
        "https://m2/v2/hub",
        "https://registry-1.docker.io/v2",
    ]
