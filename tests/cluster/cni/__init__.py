"""Promises about the choice of a CNI plugin, each on a server of its own. What every plugin promises about traffic and
policies is in tests/cluster/agents/cni.
"""
