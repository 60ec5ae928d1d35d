"""Which image each component runs from (layout reference §10).

An image flag wins as it is. Without one the official default is used, from ``system-default-registry`` if that is set:
``reg.example/prefix`` makes ``reg.example/prefix/rancher/hardened-etcd:…``.
"""

from __future__ import annotations

from rke2.config.model import COMPONENTS, ImageSettings, NodeConfig
from rke2.errors import ConfigError
from rke2.releases import OFFICIAL_IMAGES
from rke2.version import LINE, VERSION

DEFAULT_REGISTRY = "index.docker.io"

DEFAULT_IMAGES = OFFICIAL_IMAGES.get(LINE, {})
"""The official defaults, without registry; none on a line whose official images are not known."""


def image(config: NodeConfig, name: str) -> str:
    """The full reference for `name`, a component or ``pause``, ``runtime``, ``helm-job``; raises as `default_image`."""
    return _override(config, name) or default_image(config.images, name)


def default_image(images: ImageSettings, name: str) -> str:
    """The official default for `name` in the registry defaults come from.

    Raises:
        ConfigError: none is known for this release.
    """
    registry = images.system_default_registry.rstrip("/") or DEFAULT_REGISTRY
    return f"{registry}/{_official(name)}"


def archived_name(config: NodeConfig, name: str) -> str:
    """The reference `name` has in airgap archives: ``system-default-registry`` does not change it."""
    return _override(config, name) or f"{DEFAULT_REGISTRY}/{_official(name)}"


def _official(name: str) -> str:
    if found := DEFAULT_IMAGES.get(name):
        return found
    raise ConfigError(
        f"{name}-image is not set, and no image of RKE2 is known for {VERSION}",
        "copy 10-images.yaml, which lies beside the release's archives, to /etc/rancher/rke2/config.yaml.d",
    )


def _override(config: NodeConfig, name: str) -> str:
    if name in COMPONENTS:
        return config.component(name).image
    images = config.images
    return {"pause": images.pause, "runtime": images.runtime, "helm-job": images.helm_job}[name]
