"""Gives images of a registry second names there; run on the registry's host.

``python -m tests.cluster.registry.alias REGISTRIES_YAML REGISTRY OLD=NEW…``, names without the host.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

from rke2.content.images.pull import source_of_endpoint
from rke2.content.registries.settings import load_registries
from rke2.registry.connection import RegistryConnection, open_session
from rke2.registry.pull import get_manifest
from rke2.registry.push import ACTIONS, Pusher
from rke2.registry.reference import ImageReference


async def alias(rules: Path, registry: str, pairs: dict[str, str]) -> None:
    source = source_of_endpoint(load_registries(rules), registry)
    async with open_session() as session:
        for old_name, new_name in pairs.items():
            old, new = ImageReference.parse(old_name), ImageReference.parse(new_name)
            connection = RegistryConnection(session, source, ACTIONS)
            manifest = await get_manifest(connection, old, old.tag)
            document, pusher = json.loads(manifest), Pusher(connection)
            for blob in (document["config"], *document["layers"]):
                await pusher.mount(new.repository, blob["digest"], old.repository)
            await pusher.manifest(new.repository, new.tag, manifest)
            print(f"{old} is {new}, too")


if __name__ == "__main__":
    given = dict(pair.split("=", 1) for pair in sys.argv[3:])
    asyncio.run(alias(Path(sys.argv[1]), sys.argv[2], given))
