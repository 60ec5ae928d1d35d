"""Errors of the builder: each names the component or file and says what failed."""

from __future__ import annotations


class DistributionError(Exception):
    """The distribution cannot be built; the message is for the person who runs the build."""


class RecipeError(DistributionError):
    """A recipe or image description is wrong; the message names file and key."""


class VerificationError(DistributionError):
    """A binary is not what the release promises: FIPS cryptography, static linking, pinned version."""


class BuildError(DistributionError):
    """A build command failed.

    Args:
        what: the component.
        reason: what failed, as part of a sentence.
        output: the last lines the command wrote.
    """

    def __init__(self, what: str, reason: str, output: str = "") -> None:
        self.what = what
        self.output = output
        super().__init__(f"{what}: {reason}" + (f"\n{output}" if output else ""))
