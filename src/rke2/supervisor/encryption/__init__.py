"""The rotation of the keys that encrypt Secrets: what follows from a request, and how it is done on all servers."""
