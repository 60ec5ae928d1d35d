"""Promise: a credential reaches what it is for, and nothing else; nobody without one reaches anything.

A client that shares no code with the product asks (`raw`); what it may be answered is written in tables.
"""
