"""The node's content: the runtime image and the image archives, found locally first, pulled second."""
