"""What a node supervises: one file per component, and beside it the configuration made for it."""
