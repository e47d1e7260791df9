"""An embedded SQL Server for the demo and the tests: the same TDS codec in the server role over DuckDB."""
