"""What every CNI plugin promises, on a server and an agent: traffic between nodes, policies, restarts, a clean removal.

The same tests for each row of `tests.cluster.agents.cni.networks`; Canal by default, the others are marked long.
"""
