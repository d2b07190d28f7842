"""What the payments worker says of its gateway's breaker."""

import http.client

from prometheus_client.parser import text_string_to_metric_families

LOOK_S = 1.0
STATE = "hiresort_gateway_breaker_state"


def breaker_of(port: int) -> str | None:
    """CLOSED, OPEN or HALF_OPEN, of the worker whose pages are on this port; None: no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LOOK_S)
    try:
        connection.request("GET", "/metrics")
        answer = connection.getresponse()
        text = answer.read().decode()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if answer.status != http.HTTPStatus.OK:
        return None
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name == STATE and sample.value:
                return sample.labels["state"]
    return None
