"""What the errors of the package `stripe` mean for a step.

Refused (Unknown)           Stripe has not done what was asked, and says why
"""

import msgspec
import stripe

from connect.gateway import GatewayError, KeyReused, Undecided, Unknown, Unsent

_OVER = ("requires_payment_method", "canceled")


class _Intent(msgspec.Struct, frozen=True, kw_only=True):
    status: str


class _About(msgspec.Struct, frozen=True, kw_only=True):
    code: str | None = None
    decline_code: str | None = None
    param: str | None = None
    payment_intent: _Intent | None = None


class _Body(msgspec.Struct, frozen=True, kw_only=True):
    error: _About


class Refused(Unknown):
    """Stripe has not done what was asked; `code` is its word for why."""

    def __init__(self, step: str, error: stripe.StripeError) -> None:
        super().__init__(step, _text(error))
        self.error, self.code = error, _code(error)

    @property
    def decline(self) -> str | None:
        """Why the customer can't pay; None when that is not what was said."""
        try:
            about = msgspec.convert(self.error.json_body, _Body).error
        except msgspec.ValidationError:
            return None
        if isinstance(self.error, stripe.CardError):
            # It is declined once nobody can be asked to act or to try another card.
            is_over = about.payment_intent is None or about.payment_intent.status in _OVER
            return (about.decline_code or about.code or "declined") if is_over else None
        is_unknown = about.code == "resource_missing" and about.param == "payment_method"
        return about.code if is_unknown else None


def meaning(step: str, error: stripe.StripeError) -> GatewayError:
    """The error of ours that says what `error` leaves of the step."""
    text, code = _text(error), _code(error)
    if isinstance(error, stripe.IdempotencyError):
        return KeyReused(step, text)
    if isinstance(error, (stripe.CardError, stripe.InvalidRequestError)):
        return Refused(step, error)
    at_the_door = (stripe.AuthenticationError, stripe.PermissionError, stripe.RateLimitError)
    if isinstance(error, at_the_door) and code != "lock_timeout":
        return Unsent(step, text)
    if code == "idempotency_key_in_use":
        return Undecided(step, text)
    return Unknown(step, text)


def _code(error: stripe.StripeError) -> str | None:
    code = error.code or (error.error.code if error.error else None)
    return code if isinstance(code, str) else None


def _text(error: stripe.StripeError) -> str:
    """In one line, without Stripe's own words: they may say too much for a log."""
    words = [f"Stripe answered {error.http_status}", type(error).__name__, _code(error)]
    if error.request_id:
        words.append(f"({error.request_id})")
    return " ".join(word for word in words if word)
