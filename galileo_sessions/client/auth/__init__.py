"""Credentials: where they come from, how requests carry them, and that nothing repeats them."""
