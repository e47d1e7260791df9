"""The shop's data: the same every time, valid where it should be."""

from __future__ import annotations

from connectors.sql.demo import shop
from hoopcli.masking.checksums import luhn


def test_the_shop_is_the_same_every_time() -> None:
    assert list(shop.rows()) == list(shop.rows())


def test_card_numbers_have_their_check_digit() -> None:
    customers = dict(shop.rows())["customers"]
    assert len(customers) == 200
    assert all(luhn(str(row[4])) for row in customers)


def test_every_table_has_its_rows() -> None:
    sizes = {name: len(rows) for name, rows in shop.rows()}
    assert sizes == {"customers": 200, "products": 8, "order_items": 2500, "orders": 1000, "employees": 30}
