"""How the clients people use reach a session."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from connectors.blob.sas import account_sas
from connectors.blob.sharedkey import session_key
from hoopcli.model.access import Connection
from hoopcli.spi import ClientHint, Listen, SessionSecret

_SAS_LIFE = timedelta(hours=12)  # the session's own end comes first


def connection_string(listen: Listen, connection: Connection, *, scheme: str = "http") -> str:
    """A storage connection string. Its account key opens nothing but this session."""
    account = connection.options["account"]
    return (
        f"DefaultEndpointsProtocol={scheme};AccountName={account};AccountKey={_key(listen)};"
        f"BlobEndpoint={scheme}://{listen.host}:{listen.port}/{account};"
    )


def sas(listen: Listen, connection: Connection) -> str:
    """A shared access signature of the session for all that policy allows, as the query of a URL."""
    return account_sas(connection.options["account"], _key(listen), expires=datetime.now(UTC) + _SAS_LIFE)


def client_hint(listen: Listen, connection: Connection) -> ClientHint:
    """Connection strings for people, and the environment for a child process."""
    account = connection.options["account"]
    endpoint = f"http://{listen.host}:{listen.port}/{account}"
    string, query = connection_string(listen, connection), sas(listen, connection)
    secure = connection_string(listen, connection, scheme="https")
    lines = [
        ("SDKs, adlfs, az", string),
        ("azcopy", f"azcopy copy FILE '{endpoint}/CONTAINER/NAME?{query}' --from-to=LocalBlob --skip-version-check"),
        ("pandas", "pd.read_csv('abfs://CONTAINER/NAME', storage_options={'connection_string': ...})"),
        ("rclone", f"rclone lsd ':azureblob,sas_url=\"{endpoint}?{query}\":'"),
        ("over TLS", f"{secure}   # trust {listen.ca_file}, e.g. by REQUESTS_CA_BUNDLE"),
    ]
    environment = {
        "AZURE_STORAGE_CONNECTION_STRING": string,
        "AZURE_STORAGE_ACCOUNT": account,
        "HOOP_BLOB_ENDPOINT": endpoint,
        "HOOP_BLOB_SAS": query,
        "HOOP_CA_FILE": listen.ca_file,
    }
    return ClientHint(environment, lines)


def _key(listen: Listen) -> str:
    return session_key(SessionSecret(listen.secret))
