"""A boot on one axis: what went on when, from the first phase to the last pod, and which of it decided the end."""
