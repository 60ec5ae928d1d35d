"""Images reach a node that runs, and what `rke2 images` says of them."""
