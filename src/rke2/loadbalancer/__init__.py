"""The node's local ways to servers: the gate to its own API server, and a load balancer to those of the cluster."""
