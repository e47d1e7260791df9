"""Masking of values: what they look like, how they are masked. Pure, and the same at any chunking."""
