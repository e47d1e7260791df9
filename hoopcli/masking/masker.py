"""Masking of values under the masks of one decision."""

from __future__ import annotations


class Masking:
    """The masks of one decision, ready to apply to values."""
