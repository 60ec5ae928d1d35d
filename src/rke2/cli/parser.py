"""argparse for verbs that are rarely called: a command line that is not understood is an error like any other."""

from __future__ import annotations

import argparse
from typing import NoReturn

from rke2.errors import UsageError


class Parser(argparse.ArgumentParser):
    """Raises `UsageError` where argparse would print its usage and exit with 2; its sub-parsers do, too."""

    def error(self, message: str) -> NoReturn:
        raise UsageError(f"{self.prog}: {message}", f"see `{self.prog} --help`")
