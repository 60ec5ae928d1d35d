"""images: a table of sub-verbs, each a module with ``run(argv) -> int``, imported when it is called."""

from __future__ import annotations

from importlib import import_module

from rke2.config.suggest import did_you_mean
from rke2.errors import UsageError

VERBS: dict[str, tuple[str, str]] = {
    "pull": ("rke2.cli.images_pull", "Fetch images from registries, onto this node or into an archive"),
    "push": ("rke2.cli.images_push", "Copy the images of archives into a registry"),
    "list": ("rke2.cli.images_list", "Show the images that a node of a certain configuration needs"),
    "import": ("rke2.cli.images_import", "Put the images of archives into this node's containerd"),
    "export": ("rke2.cli.images_export", "Write images of archives or of containerd into one archive"),
    "verify": ("rke2.cli.images_verify", "Check archives: digests, bills of materials, FIPS"),
}
"""Sub-verb -> module and summary."""


def run(argv: list[str]) -> int:
    """Run ``rke2 images <argv>``.

    Returns:
        The exit code.

    Raises:
        RKE2Error: what was asked for cannot be understood or done.
    """
    verb, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if verb in ("--help", "-h", "help"):
        print(_help())
        return 0
    if verb not in VERBS:
        hint = did_you_mean(verb, VERBS) or "see `rke2 images --help`"
        raise UsageError(f"{verb!r} is not a command of rke2 images", hint)
    code: int = import_module(VERBS[verb][0]).run(rest)
    return code


def _help() -> str:
    width = max(map(len, VERBS))
    verbs = "\n".join(f"   {name:{width}}  {summary}" for name, (_, summary) in VERBS.items())
    return f"""NAME:
   rke2 images - Images of this node, in archives and in registries

USAGE:
   rke2 images COMMAND [OPTIONS]

COMMANDS:
{verbs}

`rke2 images COMMAND --help` shows the options of a command."""
