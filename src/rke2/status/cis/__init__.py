"""The points of the CIS Kubernetes Benchmark that a node can know of itself, and what there is to say of each."""
