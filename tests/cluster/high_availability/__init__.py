"""Promise: a cluster of three servers outlives the loss of any of them, and nothing that happens to network, etcd or
leases ends an rke2 process.
"""
