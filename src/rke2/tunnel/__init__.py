"""The agents' tunnel: connections to kubelets and pods over websockets that the agents open."""
