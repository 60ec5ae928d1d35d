"""What a node does to boot, as tables to be read from top to bottom: one of a server, one of an agent."""
