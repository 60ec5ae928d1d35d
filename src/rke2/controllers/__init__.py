"""What servers do for the nodes of their cluster: memberships, passwords, roles, routes."""
