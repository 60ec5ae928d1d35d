"""What the README says, done on machines that have never seen the project."""
