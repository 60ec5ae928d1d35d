"""Promise: a server may run the datastore only, or the control plane only."""
