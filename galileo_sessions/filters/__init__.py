"""
The filter language: columns, filters, their JSON and text, and what they say about a record. No
I/O.
"""
