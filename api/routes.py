"""Every route, in one place."""

from aiohttp import web

from api import (
    availability,
    callbacks,
    cancelling,
    changes,
    description,
    editing,
    health,
    metrics,
    mypage,
    newest,
    operators,
    paying,
    queries,
    reserving,
)


def operators_routes() -> list[web.RouteDef]:
    """Return what is served to operators, and by whom."""
    return [
        web.get("/metrics", metrics.metrics),
        web.get("/tables", operators.tables),
        web.get("/tables/{name}", operators.table),
        web.get(r"/tables/{name}/{key:.+}", operators.row),
    ]


def routes() -> list[web.RouteDef]:
    """Return what is served, and by whom."""
    return [
        web.get("/", health.index),
        web.get("/healthz", health.alive),
        web.get("/readyz", health.ready),
        web.get("/openapi.json", description.openapi),
        web.get("/docs", description.page),
        web.get("/docs/{file}", description.file),
        web.post("/reservations", reserving.reserve),
        web.get("/reservations", newest.reservations),
        web.get("/reservations/{id}", queries.reservation),
        web.put("/reservations/{id}", editing.put_reservation),
        web.patch("/reservations/{id}", editing.patch_reservation),
        web.delete("/reservations/{id}", cancelling.cancel),
        web.post("/payments", paying.pay),
        web.post("/payments/callbacks", callbacks.take),
        web.get("/payments", newest.payments),
        web.get("/payments/{id}", queries.payment),
        web.put("/payments/{id}", editing.put_payment),
        web.delete("/payments/{id}", cancelling.cancel),
        web.get("/issueds", newest.tickets),
        web.get("/issueds/{id}", queries.ticket),
        web.put("/issueds/{id}", editing.put_ticket),
        web.delete("/issueds/{id}", cancelling.cancel_ticket),
        web.get("/views", newest.views),
        web.get("/views/{id}", queries.view),
        web.put("/views/{id}", editing.put_view),
        web.delete("/views/{id}", cancelling.cancel),
        web.get("/mypage/{id}", mypage.mypage),
        web.get("/mypage/{id}/changes", changes.changes),
        web.get("/resorts", queries.resorts),
        web.get("/resorts/{id}", queries.resort),
        web.get("/resorts/{id}/availability", availability.availability),
    ]
