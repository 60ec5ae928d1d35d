"""What a release is made of: pinned components, charts, images, and the builder that assembles them."""
