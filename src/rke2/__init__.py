"""RKE2 in Python: one process per node that bootstraps and supervises a Kubernetes node."""
