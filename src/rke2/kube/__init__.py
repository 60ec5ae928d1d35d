"""The Kubernetes API client layer: a thin dynamic client on aiohttp (see docs/adr/0002-kube-client.md)."""
