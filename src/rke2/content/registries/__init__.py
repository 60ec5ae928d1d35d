"""``registries.yaml``, and what containerd is told of it."""
