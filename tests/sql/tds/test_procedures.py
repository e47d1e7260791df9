from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.sql.tds.procedures import ProcId, spelled_plainly, well_known

PLAIN = [
    "sp_executesql",
    "SP_ExecuteSQL",
    "sp_executesql;1",
    "sp_executesql   ",
    "sys.sp_executesql",
    "dbo.sp_executesql",
    "master..sp_executesql",
    "master.dbo.sp_executesql",
    "[master].[sys].[sp_executesql]",
    '"sys"."sp_executesql"',
    "[sp_executesql];1 ",
]

DISGUISED = [
    " sp_executesql",
    "\tsp_executesql\r\n",
    "shop..sp_executesql",
    "shop.reports.sp_executesql",
    "sp_executesql;2",
    "sp_executesql;1;x",
    "[sys.sp_executesql]",
    "sp_executesql.",
    ".sp_executesql",
    "master.sp_executesql",
    "[sp_executesql",
    "sp_execute\0sql",
    "sp_execute\u200bsql",
    "sp_execute\u00adsql",
    "\ufeffsp_executesql",
    "sp\uff3fexecutesql",
    "ｓｐ_ｅｘｅｃｕｔｅｓｑｌ",  # noqa: RUF001
    "sp_\u00e9xecutesql",
    "sp_exe\u0301cutesql",
    "\u017fp_execute\u017fql",
    "[sp_execute]]sql]",
    "sp_executesql\u3000",
]


@pytest.mark.parametrize("name", PLAIN)
def test_plain_spellings(name: str) -> None:
    assert well_known(name) is ProcId.SP_EXECUTESQL
    assert spelled_plainly(name)


@pytest.mark.parametrize("name", DISGUISED)
def test_disguises_count_but_are_not_sure(name: str) -> None:
    assert well_known(name) is ProcId.SP_EXECUTESQL
    assert not spelled_plainly(name)


@pytest.mark.parametrize("name", ["", ".", ";", "usp_executesql", "sp_executesql2", "sp_help", "dbo.orders_of", "sp_"])
def test_other_procedures(name: str) -> None:
    assert well_known(name) is None
    assert not spelled_plainly(name)


def test_turkish_letters() -> None:
    assert well_known("SP_CURSOROPT\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}ON") is ProcId.SP_CURSOROPTION
    assert well_known("sp_cursoropt\N{LATIN SMALL LETTER DOTLESS I}on") is ProcId.SP_CURSOROPTION


@pytest.mark.parametrize("procedure", ProcId)
def test_each_is_found_by_its_own_name(procedure: ProcId) -> None:
    assert well_known(procedure.procedure) is procedure
    assert spelled_plainly(procedure.procedure.upper())


@given(st.sampled_from(ProcId), st.text(alphabet="[]\" \0\t'\u200b-", max_size=4), st.text(max_size=10))
def test_noise_never_hides_a_procedure(procedure: ProcId, noise: str, qualifier: str) -> None:
    assert well_known(f"{noise}{procedure.procedure}{noise}") is procedure
    assert well_known(f"{qualifier}.{noise}{procedure.procedure.upper()}{noise};1") is not None


@given(st.text(max_size=40))
def test_any_text_is_answered(name: str) -> None:
    assert not spelled_plainly(name) or well_known(name) is not None
