"""What the packaged ingress controller's policies let through, asked of a real API server."""
