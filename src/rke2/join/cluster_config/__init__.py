"""The settings that servers tell each other and their agents: the answer of ``GET /v1-rke2/config``.

`keys` has what is in it and who reads that; a server makes it (`encode`), one that joins compares its own with it
(`compare`), and an agent takes it over (`adopt`).
"""
