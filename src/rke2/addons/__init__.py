"""What runs on top of the API server: the deploy controller, the helm controller and the start-up objects."""
