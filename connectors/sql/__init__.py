"""SQL Server and Azure SQL: the TDS protocol in both roles, T-SQL classification, masking of results."""
