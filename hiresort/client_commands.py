"""`hiresort reserve`, `pay`, `cancel`, `mypage`: a customer's steps, over the HTTP API.

Exit status: 0 done or under way, 1 refused or not possible now, 2 the request or the API's address
is wrong.
"""

import http.client
import json
import os
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import click

from hiresort.addresses import api_option

CREDENTIALS = "HIRESORT_TOKEN_FILE"
WRONG_REQUEST = (400, 401, 403, 404, 405, 413, 415)
ANSWER_S = 15.0
"""For the answer, beyond what the API is asked to wait for the outcome."""


class ApiAway(click.ClickException):
    """No API answers, or something else does."""

    exit_code = 2


class Answer(NamedTuple):
    """What the API said: `body` is JSON."""

    status: int
    body: dict[str, Any]


def _shared(command: Callable[..., None]) -> Callable[..., None]:
    json_option = click.option("--json", "as_json", is_flag=True, help="Print the raw answer.")
    return api_option(json_option(command))


def _wait_option(command: Callable[..., None]) -> Callable[..., None]:
    return click.option(
        "--wait",
        type=click.IntRange(0, 30),
        default=10,
        show_default=True,
        help="Seconds to wait for the outcome.",
    )(command)


@click.command()
@click.option("--customer", help="The customer's id. Default: a new guest.")
@click.option("--resort", required=True, help="The resort's id, as in `hiresort resorts list`.")
@click.option("--room-type", help="Default: the resort's default one.")
@click.option("--check-in", required=True, help="The first night, YYYY-MM-DD.")
@click.option("--nights", type=int, default=1, show_default=True)
@click.option("--rooms", type=int, default=1, show_default=True)
@click.option("--persons", type=int, default=1, show_default=True)
@click.option("--needs", help="What the resort should know.")
@click.option("--phone")
@click.option("--email")
@click.option("--pay", "payment_type", help="Pay at once, e.g. card. Without it rooms are held.")
@click.option("--quoted-price", type=int, help="Refuse another price than this, in minor units.")
@click.option("--key", help="Idempotency key: the same one again is the same reservation.")
@_wait_option
@_shared
def reserve(
    *, api: str, as_json: bool, wait: int, customer: str | None, key: str | None, **fields: object
) -> None:
    """Reserve rooms, and pay for them if a payment type is given."""
    key = key or uuid.uuid4().hex
    headers = {"Idempotency-Key": key, "Prefer": f"wait={wait}"}
    if customer is not None:
        headers["X-Customer-Id"] = customer
    body = {"resort_id": fields.pop("resort"), **fields}
    given = {name: value for name, value in body.items() if value is not None}
    answer = _call(api, "POST", "/reservations", wait=wait, body=given, headers=headers)
    _show(answer, _reservation, as_json=as_json, hint=f"repeat it with --key {key}")


@click.command()
@click.argument("reservation_id")
@click.option("--type", "payment_type", default="card", show_default=True)
@_wait_option
@_shared
def pay(api: str, reservation_id: str, payment_type: str, wait: int, *, as_json: bool) -> None:
    """Pay for a reservation that is held."""
    body = {"reservation_id": reservation_id, "payment_type": payment_type}
    headers = {"Prefer": f"wait={wait}"}
    answer = _call(api, "POST", "/payments", wait=wait, body=body, headers=headers)
    _show(answer, _payment, as_json=as_json, hint="repeat it: it is paid once")


@click.command()
@click.argument("reservation_id")
@_wait_option
@_shared
def cancel(api: str, reservation_id: str, wait: int, *, as_json: bool) -> None:
    """Cancel a reservation; what was paid is given back."""
    path = f"/reservations/{quote(reservation_id, safe='')}"
    answer = _call(api, "DELETE", path, wait=wait, headers={"Prefer": f"wait={wait}"})
    _show(answer, _reservation, as_json=as_json, hint="repeat it")


@click.command()
@click.argument("customer")
@click.option("--limit", type=click.IntRange(1, 200), default=20, show_default=True)
@click.option("--cursor", help="Where the last page said that the next one begins.")
@_shared
def mypage(api: str, customer: str, limit: int, cursor: str | None, *, as_json: bool) -> None:
    """Show a customer's reservations, the newest first."""
    query = {"limit": limit} | ({} if cursor is None else {"cursor": cursor})
    path = f"/mypage/{quote(customer, safe='')}?{urlencode(query)}"
    _show(_call(api, "GET", path), _mypage, as_json=as_json)


def _call(
    api: str,
    method: str,
    path: str,
    *,
    wait: int = 0,
    body: Mapping[str, object] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Ask the API. Raises ApiAway."""
    if not _is_address(api):
        raise ApiAway(f"{api!r} is no address of an API: it has to be like http://127.0.0.1:8088")
    request = urllib.request.Request(  # noqa: S310 - its scheme was looked at
        api.rstrip("/") + path,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json", **_authorization(), **(headers or {})},
    )
    # Not by way of a proxy of the environment: the API is ours, and mostly on loopback.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(request, timeout=wait + ANSWER_S) as response:
            return _read(api, response.status, response.read())
    except urllib.error.HTTPError as error:
        return _read(api, error.code, error.read())
    except (OSError, http.client.HTTPException) as error:
        why = error.reason if isinstance(error, urllib.error.URLError) else error
        raise ApiAway(
            f"no API answers at {api} ({why}): start it with `hiresort up`, or give its --api"
        ) from None
    except (ValueError, UnicodeError) as error:
        raise ApiAway(f"the request can't be sent: {error}") from None


def _authorization() -> dict[str, str]:
    """Return the header with the token of the file that HIRESORT_TOKEN_FILE names, if it does."""
    path = os.environ.get(CREDENTIALS)
    if not path:
        return {}
    try:
        token = Path(path).read_text().strip()
    except (OSError, ValueError):
        raise ApiAway(f"{CREDENTIALS}: {path} can't be read") from None
    if not token.isascii() or len(token.split()) != 1:
        raise ApiAway(f"{CREDENTIALS}: {path} holds no token")
    return {"Authorization": f"Bearer {token}"}


def _is_address(api: str) -> bool:
    try:
        base = urlsplit(api)
        return base.scheme in ("http", "https") and bool(base.hostname) and base.port != 0
    except ValueError:  # its port is none
        return False


def _read(api: str, status: int, content: bytes) -> Answer:
    try:
        body = json.loads(content)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise ApiAway(f"what answers at {api} is not this API: it says {status} and no JSON object")
    return Answer(status, body)


def _show(
    answer: Answer,
    write: Callable[[dict[str, Any]], None],
    *,
    as_json: bool,
    hint: str | None = None,
) -> None:
    """Write an answer; a problem also ends the command with its status."""
    is_problem = answer.status >= http.HTTPStatus.BAD_REQUEST
    if as_json:
        click.echo(json.dumps(answer.body, ensure_ascii=False, indent=2))
        if is_problem:
            raise click.exceptions.Exit(_exit_code(answer))
    elif is_problem:
        _refuse(answer, hint)
    else:
        write(answer.body)
        if answer.status == http.HTTPStatus.ACCEPTED:
            click.echo("  not decided yet: look again on mypage")


def _refuse(answer: Answer, hint: str | None) -> NoReturn:
    body = answer.body
    message = str(body.get("detail", f"the API answered {answer.status}"))
    if body.get("new_key") is False and hint:
        message += f"; {hint}"
    if "reservation_id" in body:
        message += f" [{body['reservation_id']}]"
    click.echo(f"hiresort: {message}", err=True)
    raise click.exceptions.Exit(_exit_code(answer))


def _exit_code(answer: Answer) -> int:
    kind = str(answer.body.get("type", "")).rpartition(":")[2]
    is_wrong = answer.status in WRONG_REQUEST or kind in ("invalid-fields", "unknown-resort")
    return 2 if is_wrong else 1


def _reservation(body: dict[str, Any]) -> None:
    click.echo(f"{body['progress']}  {body['reservation_id']}")
    click.echo(
        f"  {body['resort']}, {_count(body['rooms'], body['room_type'] + ' room')},"
        f" {_count(body['persons'], 'person')}"
    )
    click.echo(
        f"  {body['check_in']} to {body['check_out']}, {_count(body['nights'], 'night')},"
        f" customer {body['customer_id']}"
    )
    if "price" in body:
        paid = f", {body['payment_type']}" if body["payment_type"] else ""
        click.echo(f"  {body['price']} {body['currency']} in minor units{paid}")
    if body.get("ticket"):
        click.echo(f"  ticket {body['ticket']}")
    if body.get("deadline_at"):
        click.echo(f"  to be paid by {_local(body['deadline_at'])}")
    for change in body["history"]:
        click.echo(f"    {_local(change['at'])}  {change['type']}")


def _payment(body: dict[str, Any]) -> None:
    click.echo(f"{body['status']}  {body['reservation_id']}")
    for step in body["steps"]:
        outcome = step["outcome"] or "no outcome yet"
        click.echo(f"  {step['kind'].lower()} of {step['amount']} {step['currency']}: {outcome}")


def _mypage(body: dict[str, Any]) -> None:
    rows = body["_embedded"]["reservations"]
    if not rows:
        click.echo(f"no reservations of {body['customer_id']}")
    for row in rows:
        click.echo(
            f"{row['progress']:<14}  {row['check_in']}  {_count(row['nights'], 'night'):<10}"
            f"  {row['resort']}  {row['price']} {row['currency']}"
            f"  {row['ticket'] or '-'}  {row['reservation_id']}"
        )
    following = body["_links"].get("next")
    if following:
        click.echo(f"more: --cursor {following['href'].rpartition('cursor=')[2]}")


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _local(instant: str) -> str:
    """Return an instant in this machine's time."""
    return datetime.fromisoformat(instant).astimezone().strftime("%Y-%m-%d %H:%M:%S")
