"""A whole cluster back with one command: what is to be done, who has done what, and what follows from it."""
