"""Both implementations of the codec pass the same tests."""

from collections.abc import Iterator

import pytest

from schemas import compiled
from schemas.codec import IMPLEMENTATIONS
from schemas.coder import Implementation


@pytest.fixture(scope="module", params=["C", "Python"])
def implementation(request: pytest.FixtureRequest) -> Iterator[Implementation]:
    """What every codec is made of that a test makes."""
    chosen = compiled if request.param == "Python" else IMPLEMENTATIONS[0]
    if request.param == "C" and chosen is compiled:
        pytest.skip("schemas.native was not built: there was no compiler")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HIRESORT_CODEC", "python" if chosen is compiled else "")
        yield chosen
