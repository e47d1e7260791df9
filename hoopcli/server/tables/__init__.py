"""The tables of the server's database, one module a concern."""
