"""hoop: the broker that decides, masks and records every statement on its way to production data."""

__version__ = "0.1.0"
