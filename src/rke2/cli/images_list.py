"""show the images that a node of a certain configuration needs"""

from __future__ import annotations

import json
import os

from rke2.cli import images_options
from rke2.config.build import build_config
from rke2.config.commandline import parse
from rke2.config.flag import Command
from rke2.content.images.required import needed_images, packaged_charts


def run(argv: list[str]) -> int:
    """Run ``rke2 images list [--agent] [-o text|names|json] [FLAG …]``.

    Raises:
        ConfigError, UsageError: the configuration cannot be used.
        ContentError: the packaged charts are not here.
    """
    parser = images_options.parser(
        "list",
        f"{__doc__}: static pods, tools, packaged charts with their default values (no HelmChartConfig is looked at).",
        epilog="FLAG: those of `rke2 server` (or `agent`), read with this node's configuration file.",
    )
    parser.add_argument(
        "--agent", action="store_true", help="of an agent; charts are listed for servers only"
    )
    parser.add_argument("-o", "--output", choices=("text", "names", "json"), default="text")
    options, flags = parser.parse_known_args(argv)
    command: Command = "agent" if options.agent else "server"
    config = build_config(command, parse(command, flags), os.environ)
    images = needed_images(config, {} if options.agent else packaged_charts(config))
    if options.output == "json":
        print(
            json.dumps(
                [{"image": image.reference, "neededBy": image.needed_by} for image in images], indent=2
            )
        )
    elif options.output == "names":
        print("\n".join(image.reference for image in images))
    else:
        width = max(len(image.reference) for image in images)
        print(f"{'IMAGE':{width}}  NEEDED BY")
        for image in images:
            print(f"{image.reference:{width}}  {', '.join(image.needed_by)}")
    return 0
