"""The node's local ways to servers: a proxy to its own API server, a load balancer to those of the cluster."""
