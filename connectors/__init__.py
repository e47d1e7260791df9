"""The connectors that ship with hoop. Each is loaded by its entry point, as anyone else's would be."""
