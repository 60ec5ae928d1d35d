"""What the distribution's content costs: to build, to store, to import, and in use. One module per part."""
