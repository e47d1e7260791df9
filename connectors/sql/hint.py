"""How the clients people use reach a session."""

from __future__ import annotations

from urllib.parse import quote

from hoopcli.model.access import Connection
from hoopcli.spi import ClientHint, Listen


def odbc_string(listen: Listen, database: str, driver: str = "{ODBC Driver 18 for SQL Server}") -> str:
    """An ODBC connection string. TLS is mandatory; the certificate is the session's own."""
    return (
        f"Driver={driver};Server={listen.host},{listen.port};Database={database};UID={listen.user};PWD={listen.secret};"
        "Encrypt=yes;TrustServerCertificate=yes"
    )


def client_hint(listen: Listen, connection: Connection) -> ClientHint:
    """Connection strings for people, and the environment for a child process."""
    database = connection.options.get("database", "master")
    host, port, user, secret = listen.host, listen.port, listen.user, listen.secret
    odbc = odbc_string(listen, database)
    url = f"mssql+pyodbc://{user}:{secret}@{host}:{port}/{quote(database)}"
    driver = "driver=ODBC+Driver+18+for+SQL+Server&Encrypt=yes&TrustServerCertificate=yes"
    lines = [
        ("sqlcmd", f"sqlcmd -S {host},{port} -d {database} -U {user} -C   # the password is in SQLCMDPASSWORD"),
        ("ODBC, pyodbc", odbc),
        ("JDBC", f"jdbc:sqlserver://{host}:{port};databaseName={database};user={user};password={secret};"
                 "encrypt=true;trustServerCertificate=true"),
        ("ADO.NET", f"Server={host},{port};Database={database};User ID={user};Password={secret};"
                    "Encrypt=True;TrustServerCertificate=True"),
        ("SQLAlchemy", f"{url}?{driver}"),
        ("tedious", f"{{server: '{host}', options: {{port: {port}, database: '{database}', encrypt: true, "
                    "trustServerCertificate: true}, authentication: {type: 'default', "
                    f"options: {{userName: '{user}', password: '{secret}'}}}}}}"),
        ("certificate", f"verify instead of trusting: SSL_CERT_FILE={listen.ca_file} and Server=localhost,{port}"),
    ]  # fmt: skip
    environment = {
        "SQLCMDSERVER": f"{host},{port}",
        "SQLCMDUSER": user,
        "SQLCMDPASSWORD": secret,
        "SQLCMDDBNAME": database,
        "HOOP_ODBC": odbc,
        "HOOP_HOST": host,
        "HOOP_PORT": str(port),
        "HOOP_USER": user,
        "HOOP_SECRET": secret,
        "HOOP_DATABASE": database,
        "HOOP_CA_FILE": listen.ca_file,
        "DATABASE_URL": f"{url}?{driver}",
    }
    return ClientHint(environment, lines)
