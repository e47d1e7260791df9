"""The views of SQL Server's catalogue that clients and tools ask for, over DuckDB's own."""

from __future__ import annotations

from connectors.sql.demo.results import SERVER

_TYPE = """CASE WHEN data_type = 'VARCHAR' THEN 'nvarchar' WHEN data_type = 'INTEGER' THEN 'int'
    WHEN data_type LIKE 'DECIMAL%' THEN 'decimal' WHEN data_type = 'TIMESTAMP' THEN 'datetime2'
    WHEN data_type = 'BOOLEAN' THEN 'bit' WHEN data_type = 'DOUBLE' THEN 'float'
    WHEN data_type = 'BLOB' THEN 'varbinary' WHEN data_type = 'UUID' THEN 'uniqueidentifier'
    ELSE lower(data_type) END"""

_NUMBERS = """('uniqueidentifier', 36), ('date', 40), ('time', 41), ('datetime2', 42), ('tinyint', 48),
    ('smallint', 52), ('int', 56), ('real', 59), ('float', 62), ('bit', 104), ('decimal', 106), ('bigint', 127),
    ('varbinary', 165), ('nvarchar', 231)"""

#: How T-SQL would make the rows of ``dbo.big``, for those who ask what the view is.
_BIG = """'CREATE VIEW dbo.big AS SELECT 1 AS id, NULL AS name, NULL AS email, NULL AS city, NULL AS code,
    1 AS amount, GETDATE() AS created_at, 1 AS active'"""

#: Run once, after the shop's own tables are there. ``sys.is_*`` stand for INFORMATION_SCHEMA.
VIEWS = f"""
CREATE SCHEMA sys;
CREATE VIEW sys.is_tables AS SELECT 'shop' AS TABLE_CATALOG, table_schema AS TABLE_SCHEMA, table_name AS TABLE_NAME,
    table_type AS TABLE_TYPE FROM information_schema.tables WHERE table_catalog = 'shop' AND table_schema = 'dbo';
CREATE VIEW sys.is_columns AS SELECT 'shop' AS TABLE_CATALOG, table_schema AS TABLE_SCHEMA, table_name AS TABLE_NAME,
    column_name AS COLUMN_NAME, ordinal_position AS ORDINAL_POSITION, is_nullable AS IS_NULLABLE, {_TYPE} AS DATA_TYPE
    FROM information_schema.columns WHERE table_catalog = 'shop' AND table_schema = 'dbo';
CREATE VIEW sys.is_schemata AS SELECT 'shop' AS CATALOG_NAME, 'dbo' AS SCHEMA_NAME, 'dbo' AS SCHEMA_OWNER;
CREATE TABLE sys.procedure_texts (name VARCHAR, definition VARCHAR);
CREATE VIEW sys.objects AS SELECT TABLE_NAME AS name, CAST(hash(TABLE_NAME) % 1000000007 AS INTEGER) AS object_id,
    1 AS schema_id, CASE TABLE_TYPE WHEN 'VIEW' THEN 'V' ELSE 'U' END AS type,
    CASE TABLE_TYPE WHEN 'VIEW' THEN 'VIEW' ELSE 'USER_TABLE' END AS type_desc FROM sys.is_tables
    UNION ALL SELECT name, CAST(hash(name) % 1000000007 AS INTEGER), 1, 'P', 'SQL_STORED_PROCEDURE'
    FROM sys.procedure_texts;
CREATE VIEW sys.tables AS SELECT *, CAST(NULL AS INTEGER) AS history_table_id FROM sys.objects WHERE type = 'U';
CREATE VIEW sys.partitions AS SELECT o.object_id, 1 AS index_id, t.estimated_size AS rows
    FROM duckdb_tables() t JOIN sys.objects o ON o.name = t.table_name WHERE t.schema_name = 'dbo';
CREATE VIEW sys.sql_modules AS SELECT o.object_id, CASE v.view_name WHEN 'big' THEN {_BIG} ELSE v.sql END AS definition
    FROM sys.objects o JOIN duckdb_views() v ON v.view_name = o.name AND v.schema_name = 'dbo' WHERE o.type = 'V'
    UNION ALL SELECT o.object_id, p.definition FROM sys.objects o JOIN sys.procedure_texts p USING (name)
    WHERE o.type = 'P';
CREATE VIEW sys.system_objects AS SELECT * FROM (VALUES ('sp_executesql'), ('sp_tables'), ('sp_columns')) AS o(name);
CREATE VIEW sys.triggers AS SELECT *, 1 AS parent_id, 0 AS is_disabled FROM sys.objects WHERE false;
CREATE VIEW sys.synonyms AS SELECT *, '' AS base_object_name FROM sys.objects WHERE false;
CREATE VIEW sys.computed_columns AS SELECT *, 1 AS column_id, '' AS definition FROM sys.objects WHERE false;
CREATE VIEW sys.views AS SELECT * FROM sys.objects WHERE type = 'V';
CREATE VIEW sys.types AS SELECT * FROM (VALUES {_NUMBERS}) AS t(name, system_type_id);
CREATE MACRO dbo.type_name(number) AS (SELECT name FROM sys.types WHERE system_type_id = number);
CREATE MACRO dbo.quotename(name) AS '[' || replace(name, ']', ']]') || ']';
CREATE VIEW sys.columns AS SELECT o.object_id, c.COLUMN_NAME AS name, c.ORDINAL_POSITION AS column_id, t.system_type_id,
    c.IS_NULLABLE = 'YES' AS is_nullable, false AS is_identity, false AS is_computed
    FROM sys.is_columns c JOIN sys.objects o ON o.name = c.TABLE_NAME LEFT JOIN sys.types t ON t.name = c.DATA_TYPE;
CREATE TABLE sys.sensitivity_classifications (class INTEGER, major_id INTEGER, minor_id INTEGER, label VARCHAR,
    label_id VARCHAR, information_type VARCHAR, information_type_id VARCHAR, rank INTEGER);
CREATE VIEW sys.all_columns AS SELECT * FROM sys.columns;
CREATE VIEW sys.schemas AS SELECT 'dbo' AS name, 1 AS schema_id;
CREATE VIEW sys.databases AS SELECT * FROM (VALUES ('master', 1), ('tempdb', 2), ('shop', 5)) AS d(name, database_id);
"""

#: By name, what SERVERPROPERTY gives.
PROPERTIES = {
    "productversion": "16.0.1000.6",
    "productmajorversion": "16",
    "productlevel": "RTM",
    "edition": "Developer Edition (64-bit)",
    "engineedition": 3,
    "collation": "SQL_Latin1_General_CP1_CI_AS",
    "servername": SERVER,
    "isclustered": 0,
    "ishadrenabled": 0,
}

VERSION = "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64) hoop demo"

#: The server's global variables that never change.
GLOBALS = {
    "@@version": VERSION,
    "@@servername": SERVER,
    "@@servicename": "MSSQLSERVER",
    "@@error": 0,
    "@@identity": None,
    "@@language": "us_english",
    "@@options": 5496,
    "@@max_precision": 38,
    "@@textsize": 2147483647,
    "@@lock_timeout": -1,
    "@@datefirst": 7,
    "@@nestlevel": 0,
    "@@microsoftversion": 268436456,
}
