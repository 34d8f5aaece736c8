"""Filters as text: what `repr` prints and people type, read back."""
