"""Settings: a TOML file, the environment (``HOOP_*``) and flags, where flags win; no secret is ever among them."""
