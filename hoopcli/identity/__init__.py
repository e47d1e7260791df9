"""Who acts, and with which credentials the broker itself reaches an upstream."""
