"""What a server needs before it can run: its folder, the witness's key, the schema, and where secrets are kept."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sqlalchemy import make_url

from hoopcli.errors import HoopError, UsageError
from hoopcli.identity.keyrings import Keyring
from hoopcli.identity.secrets import resolve
from hoopcli.ledger.note import Cosigner
from hoopcli.policy.document import load
from hoopcli.policy.engine import Engine
from hoopcli.server import migrations
from hoopcli.server.config import ServerSettings
from hoopcli.server.database import Database
from hoopcli.settings.edit import write_private
from hoopcli.settings.secret import parse_reference

KEY_FILE: Final = "witness.key"
FIRST_GROUPS: Final = ("audit", "hoop-admins")
"""What the first person belongs to: enough to change the policy and to read, and not to answer their own requests."""
FIRST_POLICY: Final = """\
# Who may do what at this server. docs/policy.md describes the language, docs/server.md the verbs of the server.
version: 1
rules:
  - id: everybody-enrols-their-ledger
    effect: allow
    principals: {kinds: [human, workload]}
    verbs: ["ledger:enrol"]
    resources: ["*"]
  - id: brokers-fetch-the-policy
    effect: allow
    verbs: ["policy:fetch"]
    resources: ["*"]
  - id: dbas-answer-requests
    effect: allow
    principals: {kinds: [human], groups: [dba]}
    verbs: ["approvals:answer", "approvals:read"]
    resources: ["*"]
  - id: auditors-read
    effect: allow
    principals: {kinds: [human], groups: [audit]}
    verbs: ["audit:read", "approvals:read", "policy:read", "people:read", "ledger:resolve"]
    resources: ["*"]
  - id: admins-change-the-policy
    effect: allow
    principals: {kinds: [human], groups: [hoop-admins]}
    verbs: ["policy:read", "policy:write", "people:read", "people:revoke"]
    resources: ["*"]
"""


@dataclass(frozen=True, slots=True)
class Prepared:
    """What ``prepare`` made or found."""

    witness: Cosigner
    made_key: bool
    made_policy: bool


def prepare(settings: ServerSettings, keyring: Keyring) -> Prepared:
    """Make what is missing: folder, key, first policy and the database's schema. Run twice it changes nothing.

    Raises:
        UsageError, HoopError: a folder cannot be written, a secret is not there, the database does not answer.
    """
    key_file = settings.data_dir / KEY_FILE
    made_key = settings.witness_key is None and not key_file.exists()
    made_policy = not settings.policy.exists()
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        if made_key:
            write_private(key_file, f"{Cosigner.generate(settings.witness_name).secret_text()}\n".encode())
        if made_policy:
            write_private(settings.policy, FIRST_POLICY.encode())
    except OSError as error:
        raise UsageError(f"{error.filename} cannot be written: {error.strerror}", "set data_dir and policy") from error
    database = Database.open(database_url(settings, keyring))
    try:
        migrations.upgrade(database)
    finally:
        database.close()
    return Prepared(witness(settings, keyring), made_key, made_policy)


def witness(settings: ServerSettings, keyring: Keyring) -> Cosigner:
    """The key that checkpoints are cosigned with. Raises HoopError if there is none, or others can read it."""
    if settings.witness_key is not None:
        return Cosigner.parse(resolve(parse_reference(settings.witness_key), keyring))
    path = settings.data_dir / KEY_FILE
    try:
        if os.name == "posix" and stat.S_IMODE(path.stat().st_mode) & 0o077:
            raise HoopError(f"{path} can be read by others", f"run: chmod 600 {path}")
        return Cosigner.parse(path.read_text("ascii"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the witness's key {path} cannot be read", "run: hoop server init") from error


def database_url(settings: ServerSettings, keyring: Keyring) -> str:
    """The URL of the database with its password. Raises NotSignedInError if the password is not where it should be."""
    if settings.database_password is None:
        return settings.database_url
    password = resolve(parse_reference(settings.database_password), keyring)
    return make_url(settings.database_url).set(password=password).render_as_string(hide_password=False)


def engine(path: Path) -> Engine:
    """The policy of a server. Raises UsageError."""
    if not path.exists():
        raise UsageError(f"there is no policy at {path}, and without one everything is denied", "run: hoop server init")
    return Engine(load(path))
