"""Who asks, and how the broker proves itself upstream: tokens and where they rest."""
