"""How long what this node signs is valid: a year, or as many days as the environment says; and when it is renewed.

Mirrors dynamiclistener's ``NewSignedCert``, which every leaf of RKE2 goes through. There a value that is no number is
logged and passed over; here it is refused before the node starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

from rke2.errors import ConfigError
from rke2.pki.catalog import LEAF_LIFETIME, RENEW_BEFORE

VARIABLE = "CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS"
SECONDS = "RKE2_SIGNED_CERT_EXPIRATION_SECONDS"
"""For tests, which cannot wait for days; goes before `VARIABLE`."""
_LONGEST = 36500
"""Days. What ends after the year 9999 cannot be written into a certificate."""


def leaf_lifetime(environ: Mapping[str, str] = os.environ) -> timedelta:
    """The validity of certificates that are signed from now on; an empty variable counts as none.

    Raises:
        ConfigError: the variable is not a number of days between 1 and 36500.
    """
    seconds = _number(environ, SECONDS, "seconds")
    if seconds:
        return timedelta(seconds=seconds)
    return timedelta(days=_number(environ, VARIABLE, "days")) or LEAF_LIFETIME


def _number(environ: Mapping[str, str], variable: str, unit: str) -> int:
    """0 if it is not set."""
    text = environ.get(variable, "")
    if not text:
        return 0
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= _LONGEST):
        raise ConfigError(
            f"environment variable {variable}: {text!r} is not a number of {unit}",
            f"give 1 to {_LONGEST}, or unset it for {LEAF_LIFETIME.days} days",
        )
    return int(text)


READ_AGAIN = timedelta(seconds=340)
"""What the slowest program takes to read a renewed certificate again: five minutes for what Kubernetes' clients hold
(docs/certificates.md), and the look of `rke2.boot.renewal` at a certificate that lives no longer than minutes."""


def renew_before(lifetime: timedelta | None = None) -> timedelta:
    """How long before its end a leaf is renewed: when two thirds of its life are over.

    A leaf of minutes is renewed earlier, so that everybody has read the new one when it ends; but not before a third
    of its life is over, or hardly anything else would be done.

    Args:
        lifetime: of the leaf; if not given that of leaves which are signed now.
    """
    life = lifetime or leaf_lifetime()
    return max(life / 3, min(life * 2 / 3, READ_AGAIN))


def warn_before() -> timedelta:
    """How long before its end a leaf has been left to itself for too long: 120 days of a year, as in RKE2.

    By then it should have been renewed. Of leaves with a shorter life the same part of it.
    """
    return min(RENEW_BEFORE, RENEW_BEFORE * (leaf_lifetime() / LEAF_LIFETIME))
