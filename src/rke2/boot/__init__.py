"""READ FIRST: how a node comes up.

`server.py` is the table of contents; each phase it lists is a function of one of the other modules.
"""
