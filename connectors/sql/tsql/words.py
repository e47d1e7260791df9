"""The vocabulary of T-SQL that the grammar asks about: upper-case words, as the lexer's keys are."""

from __future__ import annotations


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: Words that are never an identifier unless delimited (Transact-SQL reference, "Reserved keywords").
RESERVED = _words(
    """
    ADD ALL ALTER AND ANY AS ASC AUTHORIZATION BACKUP BEGIN BETWEEN BREAK BROWSE BULK BY CASCADE CASE CHECK CHECKPOINT
    CLOSE CLUSTERED COALESCE COLLATE COLUMN COMMIT COMPUTE CONSTRAINT CONTAINS CONTAINSTABLE CONTINUE CONVERT CREATE
    CROSS CURRENT CURRENT_DATE CURRENT_TIME CURRENT_TIMESTAMP CURRENT_USER CURSOR DATABASE DBCC DEALLOCATE DECLARE
    DEFAULT DELETE DENY DESC DISK DISTINCT DISTRIBUTED DOUBLE DROP DUMP ELSE END ERRLVL ESCAPE EXCEPT EXEC EXECUTE
    EXISTS EXIT EXTERNAL FETCH FILE FILLFACTOR FOR FOREIGN FREETEXT FREETEXTTABLE FROM FULL FUNCTION GOTO GRANT GROUP
    HAVING HOLDLOCK IDENTITY IDENTITY_INSERT IDENTITYCOL IF IN INDEX INNER INSERT INTERSECT INTO IS JOIN KEY KILL LEFT
    LIKE LINENO LOAD MERGE NATIONAL NOCHECK NONCLUSTERED NOT NULL NULLIF OF OFF OFFSETS ON OPEN OPENDATASOURCE
    OPENQUERY OPENROWSET OPENXML OPTION OR ORDER OUTER OVER PERCENT PIVOT PLAN PRECISION PRIMARY PRINT PROC PROCEDURE
    PUBLIC RAISERROR READ READTEXT RECONFIGURE REFERENCES REPLICATION RESTORE RESTRICT RETURN REVERT REVOKE RIGHT
    ROLLBACK ROWCOUNT ROWGUIDCOL RULE SAVE SCHEMA SECURITYAUDIT SELECT SEMANTICKEYPHRASETABLE
    SEMANTICSIMILARITYDETAILSTABLE SEMANTICSIMILARITYTABLE SESSION_USER SET SETUSER SHUTDOWN SOME STATISTICS
    SYSTEM_USER TABLE TABLESAMPLE TEXTSIZE THEN TO TOP TRAN TRANSACTION TRIGGER TRUNCATE TRY_CONVERT TSEQUAL UNION
    UNIQUE UNPIVOT UPDATE UPDATETEXT USE USER VALUES VARYING VIEW WAITFOR WHEN WHERE WHILE WITH WITHIN WRITETEXT
    """
)

#: Reserved words that can only begin a statement, unless the grammar around them asked for them.
STARTS = _words(
    """
    ALTER BACKUP BEGIN BREAK BULK CHECKPOINT CLOSE COMMIT CONTINUE CREATE DBCC DEALLOCATE DECLARE DELETE DENY DROP DUMP
    EXEC EXECUTE FETCH GOTO GRANT IF INSERT KILL LINENO LOAD MERGE OPEN PRINT RAISERROR READTEXT RECONFIGURE RESTORE
    RETURN REVERT REVOKE ROLLBACK SAVE SELECT SET SETUSER SHUTDOWN TRUNCATE UPDATE UPDATETEXT USE WAITFOR WHILE
    WRITETEXT
    """
)

#: Words that begin a statement without being reserved. None of them is taken for an alias or a procedure.
SOFT_STARTS = _words("THROW ENABLE DISABLE RECEIVE SEND MOVE GET RENAME COPY PREDICT")

#: Scalar and aggregate functions of the server that read nothing but their arguments and the session.
FUNCTIONS = _words(
    """
    ABS ACOS APPROX_COUNT_DISTINCT APP_NAME APPLOCK_MODE APPLOCK_TEST ASCII ASIN ASSEMBLYPROPERTY ATAN ATN2 AVG
    BASE64_DECODE BASE64_ENCODE BINARY_CHECKSUM BIT_COUNT CEILING CHAR CHARINDEX CHECKSUM CHECKSUM_AGG CHOOSE COALESCE
    COLLATIONPROPERTY COLUMNPROPERTY COL_LENGTH COL_NAME COLUMNS_UPDATED COMPRESS CONCAT CONCAT_WS CONNECTIONPROPERTY
    CONTEXT_INFO COS COT COUNT COUNT_BIG CUME_DIST CURRENT_REQUEST_ID CURRENT_TIMEZONE CURRENT_TIMEZONE_ID
    CURRENT_TRANSACTION_ID CURSOR_STATUS DATABASEPROPERTY DATABASEPROPERTYEX DATABASE_PRINCIPAL_ID DATALENGTH DATEADD
    DATEDIFF DATEDIFF_BIG DATEFROMPARTS DATENAME DATEPART DATETIME2FROMPARTS DATETIMEFROMPARTS DATETIMEOFFSETFROMPARTS
    DATETRUNC DATE_BUCKET DAY DB_ID DB_NAME DECOMPRESS DEGREES DENSE_RANK DIFFERENCE EOMONTH ERROR_LINE ERROR_MESSAGE
    ERROR_NUMBER ERROR_PROCEDURE ERROR_SEVERITY ERROR_STATE EXP FILEGROUP_ID FILEGROUP_NAME FILEGROUPPROPERTY FILE_ID
    FILE_IDEX FILE_NAME FILEPROPERTY FIRST_VALUE FLOOR FORMAT FORMATMESSAGE FULLTEXTCATALOGPROPERTY
    FULLTEXTSERVICEPROPERTY GETANSINULL GETDATE GETUTCDATE GET_BIT GREATEST GROUPING GROUPING_ID HASHBYTES HAS_DBACCESS
    HAS_PERMS_BY_NAME HOST_ID HOST_NAME IDENT_CURRENT IDENT_INCR IDENT_SEED IIF INDEXKEY_PROPERTY INDEXPROPERTY
    INDEX_COL ISDATE ISJSON ISNULL ISNUMERIC IS_MEMBER IS_ROLEMEMBER IS_SRVROLEMEMBER JSON_ARRAY JSON_MODIFY
    JSON_PATH_EXISTS JSON_QUERY JSON_VALUE LAG LAST_VALUE LEAD LEAST LEFT LEFT_SHIFT LEN LOG LOG10 LOGINPROPERTY LOWER
    LTRIM MAX MIN MIN_ACTIVE_ROWVERSION MONTH NCHAR NEWID NEWSEQUENTIALID NTILE NULLIF OBJECTPROPERTY OBJECTPROPERTYEX
    OBJECT_DEFINITION
    OBJECT_ID OBJECT_NAME OBJECT_SCHEMA_NAME ORIGINAL_DB_NAME ORIGINAL_LOGIN PARSENAME PATINDEX PERCENTILE_CONT
    PERCENTILE_DISC PERCENT_RANK PERMISSIONS PI POWER PRODUCT QUOTENAME RADIANS RAND RANK REPLACE REPLICATE REVERSE
    RIGHT RIGHT_SHIFT ROUND ROWCOUNT_BIG ROW_NUMBER RTRIM SCHEMA_ID SCHEMA_NAME SCOPE_IDENTITY SERVERPROPERTY
    SESSIONPROPERTY SESSION_CONTEXT SET_BIT SIGN SIN SMALLDATETIMEFROMPARTS SOUNDEX SPACE SQL_VARIANT_PROPERTY SQRT
    SQUARE STATS_DATE STDEV STDEVP STR STRING_AGG STRING_ESCAPE STUFF SUBSTRING SUM SUSER_ID SUSER_NAME SUSER_SID
    SUSER_SNAME SWITCHOFFSET SYSDATETIME SYSDATETIMEOFFSET SYSUTCDATETIME TAN TERTIARY_WEIGHTS TEXTPTR TEXTVALID
    TIMEFROMPARTS TODATETIMEOFFSET TRANSLATE TRIGGER_NESTLEVEL TYPEPROPERTY TYPE_ID TYPE_NAME UNICODE UPPER USER_ID
    USER_NAME VAR VARP XACT_STATE YEAR
    """
)

#: Functions whose first argument is the name of a part of a date, not a column.
DATE_PART_FUNCTIONS = _words("DATEADD DATEDIFF DATEDIFF_BIG DATENAME DATEPART DATETRUNC DATE_BUCKET")

#: Functions written without parentheses.
NILADIC = _words("CURRENT_TIMESTAMP CURRENT_USER SESSION_USER SYSTEM_USER USER CURRENT_DATE CURRENT_TIME")

#: Rowsets that the server makes out of their arguments alone.
ROWSET_FUNCTIONS = _words("STRING_SPLIT OPENJSON GENERATE_SERIES REGEXP_MATCHES REGEXP_SPLIT_TO_TABLE")

#: System table-valued functions that may be called without a schema; those that show only metadata are in the second.
SYSTEM_ROWSETS = _words(
    """
    FN_HELPCOLLATIONS FN_LISTEXTENDEDPROPERTY FN_SERVERSHAREDDRIVES FN_VIRTUALFILESTATS FN_VIRTUALSERVERNODES
    FN_GET_SQL FN_DBLOG FN_DUMP_DBLOG FN_XE_FILE_TARGET_READ_FILE FN_GET_AUDIT_FILE FN_TRACE_GETTABLE
    FN_TRACE_GETINFO FN_TRACE_GETFILTERINFO FN_TRACE_GETEVENTINFO FN_MY_PERMISSIONS FN_BUILTIN_PERMISSIONS
    """
)
METADATA_ROWSETS = _words(
    """
    FN_HELPCOLLATIONS FN_LISTEXTENDEDPROPERTY FN_SERVERSHAREDDRIVES FN_VIRTUALSERVERNODES FN_MY_PERMISSIONS
    FN_BUILTIN_PERMISSIONS DM_EXEC_DESCRIBE_FIRST_RESULT_SET DM_EXEC_DESCRIBE_FIRST_RESULT_SET_FOR_OBJECT
    DM_SQL_REFERENCED_ENTITIES DM_SQL_REFERENCING_ENTITIES
    """
)

TABLE_HINTS = _words(
    """
    FASTFIRSTROW FORCESCAN FORCESEEK HOLDLOCK KEEPDEFAULTS KEEPIDENTITY IGNORE_CONSTRAINTS IGNORE_TRIGGERS NOEXPAND
    NOLOCK NOWAIT PAGLOCK READCOMMITTED READCOMMITTEDLOCK READPAST READUNCOMMITTED REPEATABLEREAD ROWLOCK SERIALIZABLE
    SNAPSHOT TABLOCK TABLOCKX UPDLOCK XLOCK
    """
)

#: Rowsets that come from outside of the server.
FOREIGN = frozenset({"OPENROWSET", "OPENQUERY", "OPENDATASOURCE"})

JOIN_HINTS = _words("LOOP HASH MERGE REMOTE")

#: Options of SET that are ON or OFF ("SET statements").
SWITCHES = _words(
    """
    ANSI_DEFAULTS ANSI_NULLS ANSI_NULL_DFLT_OFF ANSI_NULL_DFLT_ON ANSI_PADDING ANSI_WARNINGS ARITHABORT ARITHIGNORE
    CONCAT_NULL_YIELDS_NULL CURSOR_CLOSE_ON_COMMIT FIPS_FLAGGER FMTONLY FORCEPLAN IMPLICIT_TRANSACTIONS NOCOUNT NOEXEC
    NO_BROWSETABLE NUMERIC_ROUNDABORT PARSEONLY QUOTED_IDENTIFIER REMOTE_PROC_TRANSACTIONS RESULT_SET_CACHING
    SHOWPLAN_ALL SHOWPLAN_TEXT SHOWPLAN_XML XACT_ABORT
    """
)

#: Options of SET that take one value.
SETTINGS = _words(
    """
    CONTEXT_INFO DATEFIRST DATEFORMAT DEADLOCK_PRIORITY LANGUAGE LOCK_TIMEOUT QUERY_GOVERNOR_COST_LIMIT ROWCOUNT
    TEXTSIZE
    """
)

ISOLATION_LEVELS = (
    ("READ", "COMMITTED"),
    ("READ", "UNCOMMITTED"),
    ("REPEATABLE", "READ"),
    ("SNAPSHOT",),
    ("SERIALIZABLE",),
)

#: Catalogue procedures that return metadata or housekeep the session, and no row of any table.
METADATA_PROCEDURES = _words(
    """
    sp_column_privileges sp_columns sp_columns_100 sp_columns_90 sp_columns_managed sp_databases sp_datatype_info
    sp_datatype_info_100 sp_datatype_info_90 sp_describe_cursor sp_describe_first_result_set
    sp_describe_undeclared_parameters sp_fkeys sp_getapplock sp_help sp_help_fulltext_catalogs sp_helpconstraint
    sp_helpdb sp_helpfile sp_helpfilegroup sp_helpindex sp_helprole sp_helprolemember sp_helpserver sp_helpsort
    sp_helpstats sp_helptext sp_helptrigger sp_helpuser sp_linkedservers sp_lock sp_monitor sp_pkeys
    sp_primary_keys_rowset sp_procedure_params_100_managed sp_procedure_params_managed
    sp_releaseapplock sp_reset_connection sp_server_info sp_spaceused sp_special_columns sp_special_columns_100
    sp_sproc_columns sp_sproc_columns_100 sp_sproc_columns_90 sp_statistics sp_statistics_100 sp_stored_procedures
    sp_table_privileges sp_table_validation sp_tables sp_tablecollations_100 sp_usertypes_rowset sp_unprepare
    sp_who sp_who2
    """
)

#: Views of the server that keep texts of other people's statements, with the values in them, or rows themselves.
KEEPING_VIEWS = _words(
    """
    dm_os_ring_buffers dm_pdw_exec_requests dm_xe_session_targets event_log plan_guides query_store_plan
    query_store_query_text syscacheobjects transmission_queue
    """
)

#: Procedures that change how the server or a database is configured.
CONFIGURING = _words("sp_configure sp_dboption sp_serveroption sp_addlinkedserver sp_addlinkedsrvlogin")

#: Procedures that run a text they are given, or one prepared before.
TEXT_PROCEDURES = _words(
    """
    sp_add_jobstep sp_cursorexecute sp_cursoropen sp_cursorprepare sp_cursorprepexec sp_execute
    sp_execute_external_script sp_execute_remote sp_executesql sp_makewebtask sp_msforeach_worker sp_msforeachdb
    sp_msforeachtable sp_prepare sp_prepexec sp_prepexecrpc sp_send_dbmail sp_sqlexec sp_update_jobstep
    xp_execresultset
    """
)

#: Other procedures of the server, whose name no procedure of a user can take.
SYSTEM_PROCEDURES = _words(
    """
    sp_addextendedproperty sp_addlogin sp_addmessage sp_addrolemember sp_addsrvrolemember sp_adduser sp_attach_db
    sp_bindefault sp_bindrule sp_catalogs sp_change_users_login sp_changedbowner sp_changeobjectowner
    sp_column_privileges_ex sp_columns_ex sp_cursor sp_cursorclose sp_cursorfetch sp_cursoroption sp_cursorunprepare
    sp_cycle_errorlog sp_defaultdb sp_depends sp_detach_db sp_dropextendedproperty sp_droplogin sp_droprolemember
    sp_dropserver sp_dropsrvrolemember sp_dropuser sp_foreignkeys sp_getbindtoken sp_grantdbaccess sp_grantlogin
    sp_helplogins sp_indexes sp_oacreate sp_oadestroy sp_oagetproperty sp_oamethod sp_oasetproperty sp_password
    sp_primarykeys sp_procoption sp_readerrorlog sp_recompile sp_refreshsqlmodule sp_refreshview sp_rename
    sp_renamedb sp_revokedbaccess sp_revokelogin sp_set_session_context sp_setapprole sp_settriggerorder
    sp_table_privileges_ex sp_tableoption sp_tables_ex sp_trace_create sp_trace_setstatus sp_unsetapprole
    sp_updateextendedproperty sp_updatestats sp_xml_preparedocument sp_xml_removedocument xp_availablemedia
    xp_cmdshell xp_create_subdir xp_delete_file xp_dirtree xp_enumerrorlogs xp_enumgroups xp_fileexist xp_fixeddrives
    xp_getnetname xp_grantlogin xp_instance_regread xp_instance_regwrite xp_logevent xp_loginconfig xp_logininfo
    xp_msver xp_qv xp_readerrorlog xp_regaddmultistring xp_regdeletekey xp_regdeletevalue xp_regenumkeys
    xp_regenumvalues xp_regread xp_regremovemultistring xp_regwrite xp_revokelogin xp_servicecontrol xp_sprintf
    xp_sqlmaint xp_sscanf xp_subdirs
    """
)

#: Views of SQL Server 2000 that still answer under any schema; they live in sys.
COMPATIBILITY_VIEWS = _words(
    """
    sysaltfiles syscacheobjects syscharsets syscolumns syscomments sysconfigures sysconstraints syscurconfigs
    syscursorcolumns syscursorrefs syscursors syscursortables sysdatabases sysdepends sysdevices sysfilegroups sysfiles
    sysforeignkeys sysfulltextcatalogs sysindexes sysindexkeys syslanguages syslockinfo syslogins sysmembers sysmessages
    sysobjects sysoledbusers sysopentapes sysperfinfo syspermissions sysprocesses sysprotects sysreferences
    sysremotelogins sysservers systypes sysusers
    """
)
