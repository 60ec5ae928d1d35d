"""Certificates, keys and the files made of them: one table (`catalog`), then issue, check, renew."""

import warnings

# Common names of nodes may be longer than the bound that the library knows (`rke2.pki.authority.Subject`); it says so
# at every look at such a certificate.
warnings.filterwarnings("ignore", message="Attribute's length must be", category=UserWarning)
