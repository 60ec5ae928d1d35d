"""A client of container registries: the OCI distribution protocol, from a reference to verified blobs on disk."""
