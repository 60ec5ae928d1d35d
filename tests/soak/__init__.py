"""The same again and again: what passes once may fail the tenth time. Not tests: run them by hand."""
