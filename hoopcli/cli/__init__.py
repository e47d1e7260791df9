"""The command line: one file a command group; parsing and rendering only."""
