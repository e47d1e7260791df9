"""The words of hoop as plain frozen types: who, what, and what was decided. No behaviour beyond themselves."""
