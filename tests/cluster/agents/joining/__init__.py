"""Promise: whoever has a valid secret joins with it, whoever has none is refused with a reason, and no input harms the
server.
"""
