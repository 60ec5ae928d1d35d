"""What users are promised, on real hosts with real components. One folder per promise."""
