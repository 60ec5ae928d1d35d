"""The runtime image, the packaged charts in it, and which image each component runs from."""
