"""The description is of the routes that there are, and of the fields that are read."""

import json
import re
from pathlib import Path

import msgspec
import pytest
from aiohttp import ClientSession

from api import paying, reserve_fields
from api.openapi import bodies
from api.openapi.document import document
from api.openapi.operations import OPERATIONS
from api.problems import TYPE
from api.routes import operators_routes, routes


def test_every_route_is_described_and_every_description_has_its_route() -> None:
    routed = {
        (route.method.lower(), re.sub(r":.*?}", "}", route.path))
        for route in (*routes(), *operators_routes())
    }
    assert {(each.method, each.path) for each in OPERATIONS} == routed


def test_no_two_operations_have_one_name() -> None:
    assert len({each.name for each in OPERATIONS}) == len(OPERATIONS)


@pytest.mark.parametrize(
    ("body", "read"),
    [
        (bodies.NewReservation, (*reserve_fields.NOW, *reserve_fields.RATED)),
        (bodies.OlderReservation, (*reserve_fields.OLDER, *reserve_fields.OLDER_IGNORED)),
        (bodies.NewPayment, paying.NAMES),
        (bodies.OlderPayment, (*paying.OLDER, *paying.OLDER_IGNORED)),
    ],
)
def test_the_fields_of_a_body_are_those_that_are_read(
    body: type[msgspec.Struct], read: tuple[str, ...]
) -> None:
    assert {field.encode_name for field in msgspec.structs.fields(body)} == set(read)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(document())
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == document()["components"]["schemas"].keys() & named


async def test_it_is_served_and_revalidated(client: ClientSession) -> None:
    async with client.get("/openapi.json") as response:
        told = await response.json()
        tag = response.headers["ETag"]
    async with client.get("/openapi.json", headers={"If-None-Match": tag}) as response:
        assert (response.status, response.headers["ETag"]) == (304, tag)
    operators = {"/tables", "/tables/{name}", "/tables/{name}/{key}", "/metrics"}
    assert document()["paths"].keys() - told["paths"].keys() == operators
    text = json.dumps(told)
    named = {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}
    assert named == told["components"]["schemas"].keys() & named


async def test_the_page_to_try_it_is_made_of_our_own_files(client: ClientSession) -> None:
    async with client.get("/docs") as response:
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
        page = await response.text()
    assert "//" not in page.replace("<!doctype html>", "")
    files = [part.split('"')[0] for part in page.split("/docs/")[1:]]
    assert len(files) == 3  # two scripts and a style sheet
    for name in files:
        async with client.get(f"/docs/{name}") as response:
            assert (response.status, bool(await response.read())) == (200, True)


@pytest.mark.parametrize("name", ["LICENSE", "..%2Fkeys.py", "start.js%00", "nothing"])
async def test_no_other_file_is_served(client: ClientSession, name: str) -> None:
    async with client.get(f"/docs/{name}") as response:
        assert response.status == 404


def test_every_problem_is_in_the_documentation() -> None:
    text = Path("docs/api.md").read_text()
    table = text.split("## Problems")[1].split("## Settings")[0]
    rows = [line for line in table.splitlines() if re.match(r"\| \d{3} ", line)]
    told = {name.strip() for row in rows for name in row.split("|")[2].split(",")}
    enums = {part.split('"')[0] for part in json.dumps(document()).split(TYPE)[1:]}
    assert told - enums == {"malformed-http", "method-not-allowed"}  # of no route
    assert enums - told == set()
