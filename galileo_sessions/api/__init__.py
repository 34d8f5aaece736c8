"""What is asked and answered, without I/O: queries, projects, and responses."""
