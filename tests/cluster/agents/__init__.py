"""Promises about agents, on one cluster of a server and an agent: joining, traffic between nodes, the tunnel."""
