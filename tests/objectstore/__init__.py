"""A real S3 server for tests, and a proxy in front of it that goes wrong when it is told to."""
