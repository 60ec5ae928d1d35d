"""How long what this node signs is valid: a year, or as many days as the environment says.

Mirrors dynamiclistener's ``NewSignedCert``, which every leaf of RKE2 goes through. There a value that is no number is
logged and passed over; here it is refused before the node starts.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta

from rke2.errors import ConfigError
from rke2.pki.catalog import LEAF_LIFETIME

VARIABLE = "CATTLE_NEW_SIGNED_CERT_EXPIRATION_DAYS"
_LONGEST = 36500
"""Days. What ends after the year 9999 cannot be written into a certificate."""


def leaf_lifetime(environ: Mapping[str, str] = os.environ) -> timedelta:
    """The validity of certificates that are signed from now on; an empty variable counts as none.

    Raises:
        ConfigError: the variable is not a number of days between 1 and 36500.
    """
    text = environ.get(VARIABLE, "")
    if not text:
        return LEAF_LIFETIME
    if not (text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= _LONGEST):
        raise ConfigError(
            f"environment variable {VARIABLE}: {text!r} is not a number of days",
            f"give 1 to {_LONGEST}, or unset it for {LEAF_LIFETIME.days}",
        )
    return timedelta(days=int(text))
