"""What the container runtime runs, asked and changed through ``crictl`` from the runtime image.

A process per question costs some 30 ms; nothing here is called in a loop faster than once a second.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rke2.config.paths import Paths
from rke2.config.redaction import without_proxies
from rke2.errors import ComponentError
from rke2.host import children

log = logging.getLogger(__name__)

GRACE = 5.0
"""Seconds crictl gets beyond its own timeout to report it."""

PULL_SECONDS = 3600.0
"""For one image; containerd itself gives up a pull that does not advance for five minutes."""


@dataclass(frozen=True)
class Sandbox:
    """A pod sandbox. `created` counts nanoseconds since the epoch."""

    id: str
    name: str
    namespace: str
    uid: str
    created: int
    ready: bool
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def parse_sandboxes(output: str | bytes) -> tuple[Sandbox, ...]:
    """Read the output of ``crictl pods -o json``.

    Raises:
        ComponentError: it is something else.
    """
    try:
        return tuple(_sandbox(item) for item in json.loads(output)["items"] or ())
    except (KeyError, TypeError, ValueError) as error:
        raise ComponentError(f"crictl pods: unexpected output: {error!r}") from error


def _sandbox(item: Mapping[str, Any]) -> Sandbox:
    metadata = item["metadata"]
    return Sandbox(
        id=item["id"],
        name=metadata["name"],
        namespace=metadata["namespace"],
        uid=metadata["uid"],
        created=int(item["createdAt"]),
        ready=item["state"] == "SANDBOX_READY",
        labels=item.get("labels") or {},
        annotations=item.get("annotations") or {},
    )


class CRI:
    """The container runtime behind a socket.

    Args:
        crictl: the program.
        socket: of the runtime.
        timeout: seconds for one question; stopping a sandbox may take longer than the rest.
    """

    def __init__(self, crictl: Path, socket: Path, timeout: float = 60.0) -> None:
        self._crictl = crictl
        self._socket = socket
        self._timeout = timeout

    @classmethod
    def of_node(cls, paths: Paths) -> CRI:
        """The embedded containerd of this node."""
        return cls(paths.bin / "crictl", paths.containerd_socket)

    async def version(self) -> str:
        """Runtime name and version, for example ``containerd v2.3.4``. Fails until the CRI answers."""
        lines = (await self._run("version")).decode().splitlines()
        answer = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        return f"{answer.get('RuntimeName', '?')} {answer.get('RuntimeVersion', '?')}"

    async def sandboxes(self, namespace: str = "") -> tuple[Sandbox, ...]:
        """The pod sandboxes, running or not, of one namespace or all."""
        limit = ("--namespace", f"^{namespace}$") if namespace else ()
        return parse_sandboxes(await self._run("pods", *limit, "-o", "json"))

    async def remove_sandbox(self, sandbox_id: str) -> None:
        """Stop the sandbox with its containers and remove it; one that is gone already is fine."""
        try:
            await self._run("rmp", "--force", sandbox_id)
        except ComponentError as error:
            if "not found" not in str(error).lower():
                raise

    async def stop_containers(self, sandbox_id: str, seconds: int) -> None:
        """End the sandbox's containers in an orderly way; those that still run after `seconds` are killed.

        `remove_sandbox` alone kills them at once.
        """
        found = (await self._run("ps", "--pod", sandbox_id, "-q")).decode().split()
        if not found:
            return
        try:
            await self._run("stop", "--timeout", str(seconds), *found)
        except ComponentError as error:
            if "not found" not in str(error).lower():
                raise

    async def ended(self, sandbox_id: str) -> frozenset[str]:
        """The containers of the sandbox if all have ended; none if one runs or is about to."""
        found = (await self._json("ps", "-a", "--pod", sandbox_id, "-o", "json"))["containers"] or ()
        over = {each["state"] for each in found} == {"CONTAINER_EXITED"}
        return frozenset(each["id"] for each in found) if over else frozenset()

    async def images(self) -> frozenset[str]:
        """Tags and digests of all images the runtime holds."""
        answer = await self._json("images", "-o", "json")
        return frozenset(
            name
            for image in answer["images"]
            for key in ("repoTags", "repoDigests")
            for name in image.get(key) or ()
        )

    async def pull(self, reference: str) -> None:
        """Have the runtime pull an image, as its certs.d says.

        Raises:
            ComponentError: it cannot; has the runtime's words.
        """
        await self._run("pull", reference, timeout=PULL_SECONDS)

    async def _json(self, *args: str) -> Any:
        output = await self._run(*args)
        try:
            return json.loads(output)
        except ValueError as error:
            raise ComponentError(f"crictl {args[0]}: unexpected output: {output[:200]!r}") from error

    async def _run(self, *args: str, timeout: float = 0.0) -> bytes:
        timeout = timeout or self._timeout
        endpoint = f"unix://{self._socket}"
        try:
            process = await asyncio.create_subprocess_exec(
                *(self._crictl, "--runtime-endpoint", endpoint, "--image-endpoint", endpoint),
                *("--timeout", f"{timeout:.0f}s", *args),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                env=without_proxies(os.environ),
            )
        except OSError as error:
            raise ComponentError(f"cannot run {self._crictl}: {error.strerror}") from error
        output, errors = await self._finish(process, args[0], timeout)
        if process.returncode:
            raise ComponentError(f"crictl {args[0]} failed: {_last_line(errors)}")
        return output

    async def _finish(
        self, process: asyncio.subprocess.Process, verb: str, timeout: float
    ) -> tuple[bytes, bytes]:
        try:
            async with asyncio.timeout(timeout + GRACE):
                return await process.communicate()
        except TimeoutError as error:
            raise ComponentError(
                f"crictl {verb}: no answer from {self._socket} in {timeout:.0f} s"
            ) from error
        finally:
            await children.end(process)


def _last_line(errors: bytes) -> str:
    lines = errors.decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else "no message"
