"""python -m api: the HTTP server."""

import ipaddress
import logging
import math
import os
import re
from pathlib import Path

import click
import uvloop

from api.callback_reader import KINDS, CallbackReader, Unusable, reader_of
from api.cross_origin import ANY, Origins
from api.process import Served, serve
from api.rate import Buckets, Network, Rate, Rates
from api.shards import addresses
from api.shards.shard import Sharing
from api.token_keys import Unusable as NoKeys
from api.token_keys import keys_at
from api.tokens import Tokens, Wanted
from connect.callbacks import read_secrets
from streams import tracing
from streams.engine import client_file
from streams.engine.errors import EngineError

logger = logging.getLogger("api")

LAST_PORT = 65535
MOST_A_SECOND = 1_000_000
MOST_HOLDERS = 16
_SERVER = re.compile(r"[^,:/\s]+:([0-9]{1,5})|\[[0-9A-Fa-f:]+\]:([0-9]{1,5})", re.ASCII)


def _check_bootstrap(_: click.Context, __: click.Parameter, value: str) -> str:
    for server in value.split(","):
        match = _SERVER.fullmatch(server)
        if match is None or not 1 <= int(match[1] or match[2]) <= LAST_PORT:
            raise click.BadParameter(f"{server!r} is no host:port")
    return value


def _check_rate(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and math.isnan(value):  # no range holds it out
        raise click.BadParameter("nan is no number of requests")
    return value


def _networks(
    _: click.Context, __: click.Parameter, values: tuple[str, ...]
) -> tuple[Network, ...]:
    try:
        return tuple(ipaddress.ip_network(value) for value in values)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(1, LAST_PORT),
    default=8088,
    envvar="HIRESORT_API_PORT",
    show_default=True,
    show_envvar=True,
)
@click.option(
    "--bootstrap",
    default="127.0.0.1:9092",
    envvar="HIRESORT_BOOTSTRAP",
    callback=_check_bootstrap,
    show_default=True,
    show_envvar=True,
    help="Kafka's address, host:port.",
)
@click.option(
    "--state",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(".hiresort/state"),
    envvar="HIRESORT_STATE",
    show_default=True,
    show_envvar=True,
    help="Folder for the replicas of the tables.",
)
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="HIRESORT_KAFKA_CONFIG",
    show_envvar=True,
    help="File of librdkafka's properties, for TLS and SASL.",
)
@click.option(
    "--gateway-kind",
    type=click.Choice(KINDS),
    default="http",
    envvar="HIRESORT_GATEWAY_KIND",
    show_default=True,
    show_envvar=True,
    help="Which gateway signs the callbacks.",
)
@click.option(
    "--callback-secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="HIRESORT_CALLBACK_SECRET_FILE",
    show_envvar=True,
    help="File of the secrets that the gateway signs callbacks with, one a line, for us alone.",
)
@click.option(
    "--tokens",
    envvar="HIRESORT_API_TOKENS",
    show_envvar=True,
    help="JWK set that verifies tokens: a file, or an https address. Without it nobody is asked.",
)
@click.option(
    "--token-issuer",
    envvar="HIRESORT_API_TOKEN_ISSUER",
    show_envvar=True,
    help="What a token's iss has to be.",
)
@click.option(
    "--token-audience",
    default="hiresort",
    envvar="HIRESORT_API_TOKEN_AUDIENCE",
    show_default=True,
    show_envvar=True,
    help="What a token's aud has to be, or hold.",
)
@click.option(
    "--token-role-claim",
    default="role",
    envvar="HIRESORT_API_TOKEN_ROLE_CLAIM",
    show_default=True,
    show_envvar=True,
    help="The claim that says customer, service or operator.",
)
@click.option(
    "--operator-port",
    type=click.IntRange(0, LAST_PORT),
    default=0,
    envvar="HIRESORT_API_OPERATOR_PORT",
    show_envvar=True,
    help="Port on loopback for operators: /tables. 0: none. With tokens they are on the main one.",
)
@click.option(
    "--access-log/--no-access-log",
    default=None,
    envvar="HIRESORT_API_ACCESS_LOG",
    show_envvar=True,
    help="A line on standard output for each request, in JSON. Unless said: with tokens only.",
)
@click.option(
    "--customer-rate",
    type=click.FloatRange(0, MOST_A_SECOND),
    callback=_check_rate,
    envvar="HIRESORT_API_CUSTOMER_RATE",
    show_envvar=True,
    help="Requests a second of one customer, twice as many at once; 0: any number. Unless said: "
    "50 with tokens, any number without.",
)
@click.option(
    "--address-rate",
    type=click.FloatRange(0, MOST_A_SECOND),
    callback=_check_rate,
    envvar="HIRESORT_API_ADDRESS_RATE",
    show_envvar=True,
    help="Requests a second of one address, twice as many at once; 0: any number. Unless said: "
    "500 with tokens, any number without.",
)
@click.option(
    "--trusted-proxy",
    "proxies",
    multiple=True,
    callback=_networks,
    envvar="HIRESORT_API_TRUSTED_PROXY",
    show_envvar=True,
    help="Network of proxies whose X-Forwarded-For is believed, such as 10.0.0.0/8. Repeated.",
)
@click.option(
    "--drain-seconds",
    type=click.FloatRange(0, 300),
    default=0,
    envvar="HIRESORT_API_DRAIN_SECONDS",
    show_default=True,
    show_envvar=True,
    help="How long it serves on, not ready, once it is told to stop: for a balancer to notice.",
)
@click.option(
    "--allow-origin",
    "allowed",
    multiple=True,
    envvar="HIRESORT_API_ALLOW_ORIGIN",
    show_envvar=True,
    help="Origin whose pages may call, credentials included; * for any, without. Repeated for "
    "several. Unless said: any without tokens, none with.",
)
@click.option(
    "--shard",
    is_flag=True,
    envvar="HIRESORT_API_SHARD",
    show_envvar=True,
    help="Share the tables with other processes that are started so: each holds a part.",
)
@click.option(
    "--advertise",
    envvar="HIRESORT_API_ADVERTISE",
    show_envvar=True,
    help="Where the others reach this process, http://host:port. It is a name of its own, too.",
)
@click.option(
    "--holders",
    type=click.IntRange(1, MOST_HOLDERS),
    default=2,
    envvar="HIRESORT_API_HOLDERS",
    show_default=True,
    show_envvar=True,
    help="By how many processes each part is held; the same for all of them.",
)
@click.option(
    "--peers-secret-file",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="HIRESORT_API_PEERS_SECRET_FILE",
    show_envvar=True,
    help="File of the secrets that the processes know each other by, one a line, for us alone.",
)
def main(  # noqa: PLR0913 - an argument for each option
    *,
    host: str,
    port: int,
    bootstrap: str,
    state: Path,
    config: Path | None,
    gateway_kind: str,
    callback_secret_file: Path | None,
    tokens: str | None,
    token_issuer: str | None,
    token_audience: str,
    token_role_claim: str,
    operator_port: int,
    access_log: bool | None,
    customer_rate: float | None,
    address_rate: float | None,
    proxies: tuple[Network, ...],
    drain_seconds: float,
    allowed: tuple[str, ...],
    shard: bool,
    advertise: str | None,
    holders: int,
    peers_secret_file: Path | None,
) -> None:
    """Serve reservations over HTTP.

    Without tokens nobody is asked who they are, and it listens on loopback only.
    """
    if tokens is None and not _is_loopback(host):
        raise click.UsageError(
            f"{host} is not loopback: without --tokens the API listens on 127.0.0.1 or ::1 only"
        )
    if tokens is not None and token_issuer is None:
        raise click.UsageError("--tokens takes --token-issuer: whose tokens they are")
    if tokens is None and customer_rate:
        raise click.UsageError("--customer-rate takes --tokens: without them nobody is known")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    try:
        tracing.begin("hiresort-api", os.environ.get(tracing.VARIABLE))
        served = Served(
            host=host,
            port=port,
            bootstrap=bootstrap,
            state=state / "api",
            client=client_file.read(config) if config else {},
            reader=_reader(gateway_kind, callback_secret_file),
            origins=Origins(allowed or (() if tokens else (ANY,))),
            operator_port=operator_port,
            access_log=tokens is not None if access_log is None else access_log,
            rates=Rates(
                customer=_buckets(customer_rate, 50 if tokens else 0),
                address=_buckets(address_rate, 500 if tokens else 0),
                trusted=proxies,
            ),
            drain_s=drain_seconds,
            sharing=_sharing(advertise, holders, peers_secret_file, loopback=tokens is None)
            if shard
            else None,
            tokens=_tokens(tokens, Wanted(token_issuer or "", token_audience, token_role_claim)),
        )
        uvloop.run(serve(served))
    except (OSError, EngineError, Unusable, NoKeys, tracing.Untraceable) as error:
        raise click.UsageError(str(error)) from None


def _buckets(a_second: float | None, default: float) -> Buckets | None:
    rate = default if a_second is None else a_second
    return Buckets(Rate(rate, max(1, rate * 2))) if rate else None


def _tokens(source: str | None, wanted: Wanted) -> Tokens | None:
    return None if source is None else Tokens(keys_at(source), wanted)


def _sharing(
    address: str | None, holders: int, secret_file: Path | None, *, loopback: bool
) -> Sharing:
    if address is None or secret_file is None:
        raise click.UsageError("--shard takes --advertise and --peers-secret-file")
    try:
        addresses.check(address, loopback=loopback)
        secrets = read_secrets(secret_file)
    except ValueError as error:
        raise click.UsageError(f"--shard: {error}") from None
    return Sharing(address, holders, tuple(secrets), loopback=loopback)


def _reader(gateway_kind: str, secret_file: Path | None) -> CallbackReader | None:
    if secret_file is not None:
        return reader_of(gateway_kind, secret_file)
    logger.warning(
        "the gateway's callbacks are not taken: HIRESORT_CALLBACK_SECRET_FILE names no file "
        "with its secret"
    )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    main()
