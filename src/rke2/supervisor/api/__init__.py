"""What answers the routes of port 9345, a module for each subject; each takes only what it answers from."""
