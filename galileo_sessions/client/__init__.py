"""The session layer: queries, credentials, retries, and the client that sends them."""
