"""Promise: servers need no way to an agent's address: what kubectl does with its pods goes through its own tunnel."""
