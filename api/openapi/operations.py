"""Every operation that clients may use, described."""

from api import resources
from api.openapi import bodies
from api.openapi.operation import (
    CURSOR,
    CUSTOMER,
    CUSTOMER_ID,
    EVENTS,
    FROM,
    IDEMPOTENCY_KEY,
    LAST_EVENT_ID,
    LIMIT,
    NOT_FOUND,
    PREFER,
    RESERVATION_ID,
    RESORT_ID,
    RESTORING,
    TICKET,
    TO,
    Collection,
    Operation,
    Parameter,
)
from api.openapi.server import OPERATORS, SERVER
from api.requests import JSON, MERGE_PATCH

_BODY = {
    400: ("malformed", "malformed-json"),
    408: ("too-slow",),
    413: ("too-large",),
    415: ("unsupported-media",),
}
_UNDELIVERED = ("being-restored", "kafka-unavailable", "overloaded")
_REFUSED = (
    "unknown-resort",
    "unknown-room-type",
    "too-many-persons",
    "past-date",
    "rejected",
)
_OUTCOME = {
    402: ("payment-declined", "amount-mismatch"),
    409: ("sold-out", "price-changed", "reservation-expired", "reservation-cancelled"),
    422: ("invalid-fields", *_REFUSED),
    503: ("payment-unavailable", *_UNDELIVERED),
}
_PAGED = {400: ("malformed",), 503: ("being-restored",)}
_CHANGED = _BODY | {
    404: ("not-found",),
    409: ("reservation-cancelled", "reservation-expired", "reservation-rejected"),
    422: ("invalid-fields",),
    503: _UNDELIVERED,
}
_SHOWN = (resources.Reservation, resources.AcceptedReservation)


def _cancelling(path: str, name: str, summary: str, parameter: Parameter) -> Operation:
    return Operation(
        "delete",
        path,
        name,
        summary,
        "Commands",
        {200: resources.Reservation, 202: _SHOWN},
        {404: ("not-found",), 409: ("cancel-refused",), 503: _UNDELIVERED},
        (parameter, PREFER),
    )


RESERVATIONS = (
    Operation(
        "post",
        "/reservations",
        "reserve",
        "Reserve a stay, and wait for the outcome",
        "Commands",
        {201: resources.Reservation, 202: _SHOWN},
        _BODY
        | _OUTCOME
        | {
            403: ("rate-not-allowed", "another-customer"),
            422: ("invalid-fields", "idempotency-key-reused", "customer-missing", *_REFUSED),
        },
        (IDEMPOTENCY_KEY, CUSTOMER, PREFER),
        (bodies.NewReservation, bodies.OlderReservation),
    ),
    Operation(
        "get",
        "/reservations",
        "listReservations",
        "The newest reservations",
        "Queries",
        {200: Collection("reservations", resources.Reservation)},
        _PAGED,
        (LIMIT, CURSOR),
    ),
    Operation(
        "get",
        "/reservations/{id}",
        "getReservation",
        "One reservation with its history",
        "Queries",
        {200: _SHOWN},
        NOT_FOUND,
        (RESERVATION_ID,),
    ),
    Operation(
        "put",
        "/reservations/{id}",
        "putReservation",
        "Put a reservation back as it was read, with other needs, phone or email",
        "Commands",
        {200: _SHOWN, 202: _SHOWN},
        _CHANGED,
        (RESERVATION_ID, PREFER),
        (dict,),
    ),
    Operation(
        "patch",
        "/reservations/{id}",
        "patchReservation",
        "Change needs, phone or email, or cancel",
        "Commands",
        {200: _SHOWN, 202: _SHOWN},
        _CHANGED
        | {
            409: (
                "cancel-refused",
                "reservation-cancelled",
                "reservation-expired",
                "reservation-rejected",
            )
        },
        (RESERVATION_ID, PREFER),
        (bodies.ReservationPatch,),
        (JSON, MERGE_PATCH),
    ),
    _cancelling(
        "/reservations/{id}",
        "cancelReservation",
        "Cancel a reservation; what was paid is given back",
        RESERVATION_ID,
    ),
)

PAYMENTS = (
    Operation(
        "post",
        "/payments",
        "pay",
        "Pay for a reservation that is held, and wait for the outcome",
        "Commands",
        {200: resources.Payment, 201: resources.Payment, 202: resources.Payment},
        _BODY | _OUTCOME | {404: ("not-found",)},
        (PREFER,),
        (bodies.NewPayment, bodies.OlderPayment),
    ),
    Operation(
        "get",
        "/payments",
        "listPayments",
        "The newest payments",
        "Queries",
        {200: Collection("payments", resources.Payment)},
        _PAGED,
        (LIMIT, CURSOR),
    ),
    Operation(
        "get",
        "/payments/{id}",
        "getPayment",
        "What was charged and refunded for one reservation",
        "Queries",
        {200: resources.Payment},
        NOT_FOUND,
        (RESERVATION_ID,),
    ),
    Operation(
        "put",
        "/payments/{id}",
        "putPayment",
        "Put a payment back as it was read: nothing of it can be changed",
        "Commands",
        {200: resources.Payment, 202: resources.Payment},
        _CHANGED,
        (RESERVATION_ID, PREFER),
        (dict,),
    ),
    _cancelling(
        "/payments/{id}", "cancelPayment", "Cancel the reservation of a payment", RESERVATION_ID
    ),
    Operation(
        "post",
        "/payments/callbacks",
        "takeCallback",
        "What the payment gateway says of a step on its own account, signed",
        "Payment gateway",
        {204: None},
        {
            400: ("malformed-callback",),
            401: ("not-signed",),
            408: ("too-slow",),
            413: ("too-large",),
            415: ("unsupported-media",),
            503: ("callbacks-not-configured", "kafka-unavailable"),
        },
        body=(dict,),
        of_tables=False,
        needs_token=False,
    ),
)

PAGES = (
    Operation(
        "get",
        "/mypage/{id}",
        "getMypage",
        "A customer's reservations, the newest first",
        "Queries",
        {200: Collection("reservations", resources.Reservation, ("customer_id",))},
        {400: ("malformed",), 403: ("another-customer",), **NOT_FOUND},
        (CUSTOMER_ID, LIMIT, CURSOR),
    ),
    Operation(
        "get",
        "/mypage/{id}/changes",
        "followMypage",
        "The states of a customer's reservations as they come (Server-Sent Events)",
        "Queries",
        {200: EVENTS},
        {
            400: ("malformed",),
            403: ("another-customer",),
            404: ("not-found",),
            503: ("being-restored", "too-many-listeners"),
        },
        (CUSTOMER_ID, LAST_EVENT_ID),
    ),
    Operation(
        "get",
        "/views",
        "listViews",
        "The newest lines of all customers' pages",
        "Queries",
        {200: Collection("views", resources.View)},
        _PAGED,
        (LIMIT, CURSOR),
    ),
    Operation(
        "get",
        "/views/{id}",
        "getView",
        "One line of a customer's page",
        "Queries",
        {200: resources.View},
        NOT_FOUND,
        (RESERVATION_ID,),
    ),
    Operation(
        "put",
        "/views/{id}",
        "putView",
        "Put a line of a page back as it was read, with other needs, phone or email",
        "Commands",
        {200: resources.View, 202: resources.View},
        _CHANGED,
        (RESERVATION_ID, PREFER),
        (dict,),
    ),
    _cancelling(
        "/views/{id}", "cancelView", "Cancel the reservation of a line of a page", RESERVATION_ID
    ),
    Operation(
        "get",
        "/issueds",
        "listTickets",
        "The newest tickets",
        "Queries",
        {200: Collection("issueds", resources.Ticket)},
        _PAGED,
        (LIMIT, CURSOR),
    ),
    Operation(
        "get",
        "/issueds/{id}",
        "getTicket",
        "One ticket",
        "Queries",
        {200: resources.Ticket},
        NOT_FOUND,
        (TICKET,),
    ),
    Operation(
        "put",
        "/issueds/{id}",
        "putTicket",
        "Put a ticket back as it was read, with other needs, phone or email",
        "Commands",
        {200: resources.Ticket, 202: resources.Ticket},
        _CHANGED,
        (TICKET, PREFER),
        (dict,),
    ),
    _cancelling("/issueds/{id}", "cancelTicket", "Cancel the reservation of a ticket", TICKET),
)

CATALOGUE = (
    Operation(
        "get",
        "/resorts",
        "listResorts",
        "The catalogue",
        "Catalogue",
        {200: Collection("resorts", resources.Resort)},
        RESTORING,
    ),
    Operation(
        "get",
        "/resorts/{id}",
        "getResort",
        "One resort",
        "Catalogue",
        {200: resources.Resort},
        NOT_FOUND,
        (RESORT_ID,),
    ),
    Operation(
        "get",
        "/resorts/{id}/availability",
        "getAvailability",
        "The rooms of each night",
        "Catalogue",
        {200: resources.Availability},
        {400: ("malformed",), **NOT_FOUND},
        (RESORT_ID, FROM, TO),
    ),
)


OPERATIONS = (*RESERVATIONS, *PAYMENTS, *PAGES, *CATALOGUE, *OPERATORS, *SERVER)
