"""Promise: a bad network, a program that hangs, a full disk or a wrong clock is survived, and does no lasting harm."""
