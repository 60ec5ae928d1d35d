"""The YAML readers of Go programs, to compare with."""
