"""Agents of which nothing but their wire is real: many of them, joining and holding tunnels from one process."""
