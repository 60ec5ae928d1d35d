"""Promise: bad input gets one clear message that names the thing and the remedy, and nothing is written or lost."""
