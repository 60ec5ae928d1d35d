"""One module for each kind of check: a function from what was found to what the operator has to know of it."""
