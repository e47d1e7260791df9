"""The demo's data: a small shop with people, cards and salaries. All of it is invented, and the same at every start."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from connectors.sql.tds.collation import LATIN1
from connectors.sql.tds.types import MAX, TypeId, TypeInfo

DATABASE = "shop"
_SEED = 20260301
_START = datetime(2025, 1, 6, 9, 0)  # noqa: DTZ001 - datetime2 has no zone
_FIRST = (
    "Amara", "Bo", "Carmen", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas",
    "Kemi", "Lucia", "Mateo", "Nadia", "Omar", "Piet", "Qing", "Rosa", "Sven", "Tala",
)  # fmt: skip
_LAST = (
    "Abara", "Brandt", "Castillo", "Demir", "Eriksen", "Fofanah", "Garcia", "Haddad",
    "Ito", "Jansen", "Kowalski", "Lindqvist", "Moreau", "Novak", "Okafor", "Petrov",
)  # fmt: skip
_CITIES = ("Oslo", "Porto", "Ghent", "Turin", "Graz", "Cork", "Lyon", "Brno", "Tartu", "Malmo")
_GOODS = ("desk lamp", "oak shelf", "wool rug", "clay mug", "steel kettle", "linen sheet", "wall clock", "side table")
_IIN = ("411111", "555555", "378282", "601111")


def nvarchar(size: int) -> TypeInfo:
    """A Unicode text of so many characters."""
    return TypeInfo(TypeId.NVARCHAR, MAX if size == MAX else size * 2, collation=LATIN1)


def varchar(size: int) -> TypeInfo:
    """An 8-bit text of so many characters."""
    return TypeInfo(TypeId.BIGVARCHAR, size, collation=LATIN1)


#: The declared types of text columns, by name; DuckDB itself has only one.
TEXT_COLUMNS: Mapping[str, TypeInfo] = {
    "name": nvarchar(100),
    "ssn": varchar(11),
    "email": nvarchar(120),
    "card_number": varchar(19),
    "phone": varchar(20),
    "city": nvarchar(60),
    "status": varchar(12),
    "title": nvarchar(80),
    "national_id": varchar(11),
    "notes": nvarchar(MAX),
}

SCHEMA = """
CREATE SCHEMA dbo;
CREATE TABLE dbo.customers (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL CHECK (length(name) <= 100),
    ssn VARCHAR CHECK (length(ssn) <= 11), email VARCHAR CHECK (length(email) <= 120),
    card_number VARCHAR CHECK (length(card_number) <= 19), phone VARCHAR CHECK (length(phone) <= 20),
    city VARCHAR CHECK (length(city) <= 60), created_at TIMESTAMP NOT NULL DEFAULT CAST(now() AS TIMESTAMP),
    vip BOOLEAN NOT NULL DEFAULT false);
CREATE TABLE dbo.products (id INTEGER PRIMARY KEY, title VARCHAR NOT NULL CHECK (length(title) <= 80),
    price DECIMAL(10,2) NOT NULL CHECK (price >= 0));
CREATE TABLE dbo.orders (id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, placed_at TIMESTAMP NOT NULL,
    status VARCHAR NOT NULL CHECK (length(status) <= 12), total DECIMAL(10,2) NOT NULL, notes VARCHAR);
CREATE TABLE dbo.order_items (order_id INTEGER NOT NULL, product_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL CHECK (quantity > 0));
CREATE TABLE dbo.employees (id INTEGER PRIMARY KEY, name VARCHAR NOT NULL CHECK (length(name) <= 100),
    email VARCHAR NOT NULL CHECK (length(email) <= 120), national_id VARCHAR NOT NULL CHECK (length(national_id) <= 11),
    salary DECIMAL(10,2) NOT NULL);
CREATE VIEW dbo.customer_totals AS SELECT c.id, c.name, c.city, CAST(sum(o.total) AS DECIMAL(12,2)) AS total
    FROM dbo.customers c JOIN dbo.orders o ON o.customer_id = c.id GROUP BY c.id, c.name, c.city;
CREATE VIEW dbo.vip_customers AS SELECT id, name, ssn, email, city FROM dbo.customers WHERE vip;
CREATE VIEW dbo.big AS SELECT CAST(range AS INTEGER) AS id, 'Customer number ' || range AS name,
    'person.' || range || '@example.com' AS email, 'City of ' || range % 1000 AS city, 'REF-' || range AS code,
    CAST(range % 1000000 AS DECIMAL(12,2)) AS amount, TIMESTAMP '2025-01-06' + INTERVAL 1 SECOND * range AS created_at,
    range % 2 = 0 AS active FROM range(200000);
"""

PROCEDURE = """
CREATE PROCEDURE dbo.get_customer @id int, @name nvarchar(100) = NULL OUTPUT AS
SELECT * FROM dbo.customers WHERE id = @id;
SELECT @name = name FROM dbo.customers WHERE id = @id;
"""


def rows() -> Iterator[tuple[str, Sequence[Sequence[object]]]]:
    """Every table with its rows."""
    chance = random.Random(_SEED)  # noqa: S311 - sample data, the same every time
    customers = [_customer(chance, number) for number in range(1, 201)]
    yield "customers", customers
    prices = [Decimal(chance.randrange(500, 20_000)) / 100 for _ in _GOODS]
    yield "products", [(n, good, price) for n, (good, price) in enumerate(zip(_GOODS, prices, strict=True), 1)]
    items = [(chance.randrange(1, 1001), chance.randrange(1, 9), chance.randrange(1, 5)) for _ in range(2500)]
    yield "order_items", items
    yield "orders", [_order(chance, number, customers) for number in range(1, 1001)]
    yield "employees", [_employee(chance, number) for number in range(1, 31)]


def _customer(chance: random.Random, number: int) -> tuple[object, ...]:
    name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
    return (
        number,
        name,
        _ssn(chance),
        f"{name.lower().replace(' ', '.')}{number}@example.com",
        _card(chance),
        f"+1-202-555-{chance.randrange(100, 200):04}",
        chance.choice(_CITIES),
        _START + timedelta(hours=number * 7),
        number % 9 == 0,
    )


def _order(chance: random.Random, number: int, customers: Sequence[Sequence[object]]) -> tuple[object, ...]:
    customer = chance.choice(customers)
    notes = f"Call {customer[5]} or write to {customer[3]} first." if number % 10 == 0 else None
    status = chance.choice(("new", "paid", "shipped"))
    total = Decimal(chance.randrange(900, 90_000)) / 100
    return number, customer[0], _START + timedelta(hours=number * 3), status, total, notes


def _employee(chance: random.Random, number: int) -> tuple[object, ...]:
    name = f"{chance.choice(_FIRST)} {chance.choice(_LAST)}"
    email = f"{name.lower().replace(' ', '.')}@shop.example"
    return number, name, email, _ssn(chance), Decimal(chance.randrange(280_000, 1_200_000)) / 10


def _ssn(chance: random.Random) -> str:
    return f"{chance.randrange(100, 660):03}-{chance.randrange(10, 99):02}-{chance.randrange(1000, 9999):04}"


def _card(chance: random.Random) -> str:
    """A number with a valid check digit in a range that issuers keep for tests."""
    prefix = chance.choice(_IIN)
    length = 15 if prefix.startswith("37") else 16
    body = prefix + "".join(str(chance.randrange(10)) for _ in range(length - 1 - len(prefix)))
    return body + str(_check_digit(body))


def _check_digit(body: str) -> int:
    doubled = (int(d) * (2 if at % 2 == 0 else 1) for at, d in enumerate(reversed(body)))
    return -sum(d - 9 if d > 9 else d for d in doubled) % 10
