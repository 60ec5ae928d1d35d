"""The supervisor of a server: the HTTPS API on port 9345 that nodes join."""
