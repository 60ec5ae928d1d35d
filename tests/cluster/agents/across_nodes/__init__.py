"""Promise: pods, services and names work the same whichever nodes they are on."""
