"""Measurements, each as a ratio of direct to brokered in one run. Run: ``make bench``."""
