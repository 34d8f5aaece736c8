"""When the next request may be sent, and whether a failed one is sent again. No I/O."""
