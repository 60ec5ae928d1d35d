"""The flags as operators know them: names, environment, defaults, help and the generated documentation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2.cli.flag_help import render
from rke2.config import docs
from rke2.config.flag import Command, Flag
from rke2.config.flags import FLAGS
from rke2.config.schema import config_schema
from tests.golden import assert_golden

HERE = Path(__file__).parent
DOCS = HERE.parent.parent / "docs"


def line(flag: Flag) -> str:
    marks = [mark for mark in ("hidden", "split", "secret") if getattr(flag, mark)]
    marks += [] if flag.supported else ["not-yet"]
    marks += ["refused"] if flag.refused else []
    cells = (
        "+".join(flag.commands),
        flag.name,
        flag.alias or "-",
        flag.kind.value,
        ",".join(flag.env) or "-",
        flag.shown_default or "-",
        "|".join(flag.choices) or "-",
        "|".join(flag.later) or "-",
        ",".join(marks) or "-",
    )
    return "  ".join(cells)


def test_table_of_flags() -> None:
    header = "# commands  name  alias  type  environment  default  choices  later  marks\n"
    assert_golden(HERE / "cli" / "flags.txt", header + "".join(f"{line(flag)}\n" for flag in FLAGS))


@pytest.mark.parametrize("command", ["server", "agent"])
def test_help(command: Command) -> None:
    assert_golden(HERE / "cli" / f"{command}-help.txt", render(command) + "\n")


def test_documentation_is_what_the_table_says() -> None:
    assert (DOCS / "configuration.md").read_text() == docs.configuration(), "run python -m rke2.config.docs"
    assert json.loads((DOCS / "config.schema.json").read_text()) == config_schema(), (
        "run python -m rke2.config.docs"
    )
