"""Protocol machinery without I/O: a layer takes events and yields commands; only ``proxy/runner.py`` acts on them."""
