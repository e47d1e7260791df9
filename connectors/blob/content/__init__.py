"""Masking of what blobs hold: pure, streaming, the same at any chunking.

``kinds`` says how a content is to be read, ``masker`` opens a masker for it. Texts, CSV and JSON keep their length in
bytes, so that sizes and ranges stay true; gzip and Parquet do not, and are served from a spool. What cannot be read as
its kind says raises ``Unreadable``: nothing of it is passed on.
"""
