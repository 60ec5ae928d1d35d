"""A client of S3 object stores, for snapshots: signed requests on aiohttp, nothing that they do not need."""
