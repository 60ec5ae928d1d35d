import pytest

from rke2.config.model import ComponentSettings
from rke2.content.runtime import references
from rke2.content.runtime.references import archived_name, image
from rke2.errors import ConfigError
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


@pytest.mark.parametrize("name", ["etcd", "pause", "runtime"])
def test_a_release_without_official_images_says_which_file_names_its_own(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(references, "DEFAULT_IMAGES", {})
    for asked in (image, archived_name):
        with pytest.raises(ConfigError, match=f"{name}-image is not set") as caught:
            asked(server_config(), name)
        assert "10-images.yaml" in caught.value.remedy
