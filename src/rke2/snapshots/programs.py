"""etcd and its tool, out of etcd's own image: what runs them here is no pod."""

from __future__ import annotations

from pathlib import Path

from rke2.config.model import NodeConfig
from rke2.content.images.store import ImageStore
from rke2.content.runtime.references import image
from rke2.host.files import ensure_dir

NAMES = ("etcd", "etcdutl")


async def copy_programs(config: NodeConfig, target: Path) -> None:
    """Put the programs into the directory `target`; the image must be there.

    Raises:
        ContentError: it is not.
    """
    ensure_dir(target, 0o700)
    files = {f"usr/local/bin/{name}": target / name for name in NAMES}
    await ImageStore.of_node(config).copy_out(image(config, "etcd"), files, config.paths.run_dir)
