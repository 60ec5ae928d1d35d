"""Applications behind the packaged ingress controller, seen from another machine."""
