"""Promise: a restart of the supervisor restarts no container, and whatever is killed at whatever moment, the next start
repairs it.

The modules run in the order of their names on one host: the first finds it empty and kills every boot on it, the last
takes its power away.
"""
