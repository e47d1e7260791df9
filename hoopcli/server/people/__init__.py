"""Who may sign in, as whom, and for how long: providers, claims, sessions."""
