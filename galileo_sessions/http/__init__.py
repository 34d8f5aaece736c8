"""One HTTP exchange: the address, the credentials, and the request."""
