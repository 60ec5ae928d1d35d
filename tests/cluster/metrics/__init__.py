"""Promise: nodes and pods tell what they use, and workloads follow it, with nothing installed by hand."""
