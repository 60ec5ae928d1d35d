"""The node's local way to the API server."""
