"""The policy document, its conditions and the pure engine that decides."""
