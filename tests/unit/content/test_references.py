import pytest

from rke2.config.model import ComponentSettings
from rke2.content.runtime.references import archived_name, image
from tests.configs import server_config


def test_official_default() -> None:
    assert (
        image(server_config(), "etcd") == "index.docker.io/rancher/hardened-etcd:v3.6.14-k3s1-build20260819"
    )


@pytest.mark.parametrize("registry", ["reg.example:5000/mirror", "reg.example:5000/mirror/"])
def test_system_default_registry_rehomes_defaults_only(registry: str) -> None:
    config = server_config(
        images={"system_default_registry": registry, "runtime": "own.example/rke2-runtime:v1"},
        components={"etcd": ComponentSettings(image="docker.io/rke2py/hardened-etcd:v3.6.14")},
    )
    assert image(config, "pause") == "reg.example:5000/mirror/rancher/mirrored-pause:3.10.2"
    assert image(config, "etcd") == "docker.io/rke2py/hardened-etcd:v3.6.14"
    assert image(config, "runtime") == "own.example/rke2-runtime:v1"
    assert archived_name(config, "pause") == "index.docker.io/rancher/mirrored-pause:3.10.2"
    assert archived_name(config, "runtime") == "own.example/rke2-runtime:v1"
