"""The filter language: columns, filters, their JSON and text, and what they say of a record. No I/O."""
