"""``install.sh`` has tables of its own, for it runs where nothing of rke2 is yet: they are those of the product."""

from __future__ import annotations

import re
from pathlib import Path

from rke2.config.cni import COMBINATIONS, archives

ROOT = Path(__file__).parents[2]
SCRIPT = (ROOT / "packaging/install.sh").read_text()
HEAD = SCRIPT[: SCRIPT.index("set -eu")]


def test_the_cni_plugins_are_those_whose_images_have_an_archive() -> None:
    (line,) = re.findall(r'^plugins="(.*)"$', SCRIPT, re.MULTILINE)
    assert set(line.split()) == {archive for chosen in COMBINATIONS for archive in archives(chosen)}


def test_every_variable_is_explained() -> None:
    (table,) = re.findall(r'^known="([^"]*)"$', SCRIPT, re.MULTILINE)
    known = set(table.replace("\\", "").split())
    used = set(re.findall(r"\$\{INSTALL_RKE2_([A-Z0-9_]+)", SCRIPT))
    explained = set(re.findall(r"INSTALL_RKE2_([A-Z0-9_]+)", HEAD))
    assert used <= known
    # Of builds by commit there are none: the variable is known to be refused.
    assert known == explained | {"COMMIT"}
