"""Rows of mypage to read."""

from datetime import date

from schemas.records import MyPage


def key(customer: str, at: int) -> str:
    """Return the key of a line."""
    return f"{customer}/jeju.{at}"


def line(customer: str, at: int, version: int = 1) -> MyPage:
    """Return a line that was created at some time."""
    return MyPage(
        reservation_id=f"jeju.{at}",
        resort_id="jeju",
        customer_id=customer,
        room_type="standard",
        check_in=date(2027, 1, 1),
        nights=1,
        rooms=1,
        persons=1,
        status="HELD",
        refund="NONE",
        price=1,
        currency="KRW",
        version=version,
        created_at=at,
        at=at,
        history=[],
    )
