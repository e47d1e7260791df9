"""Types that tests send and receive."""

from __future__ import annotations

from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.types import TypeId, TypeInfo

INT = TypeInfo(TypeId.INTN, 4)
NVARCHAR = TypeInfo(TypeId.NVARCHAR, 8000, collation=LATIN1)
