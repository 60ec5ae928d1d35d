"""How nodes become one cluster: tokens, passwords, and the secrets that servers keep."""
