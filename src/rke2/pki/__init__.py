"""Certificates, keys and the files made of them: one table (`catalog`), then issue, check, renew."""
