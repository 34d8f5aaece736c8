"""Flow control: how many requests may be under way, and how many a second."""
