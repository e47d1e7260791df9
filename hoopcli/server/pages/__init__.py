"""The server's pages: rendered here, made live by htmx, strict about scripts, readable on a phone."""
