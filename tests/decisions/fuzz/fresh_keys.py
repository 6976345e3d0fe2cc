"""A hook for Schemathesis: every request has an idempotency key of its own, if it has one.

The document cannot say that a key was used with another request before.
"""

import itertools
from typing import Any

import schemathesis

KEY = "Idempotency-Key"
LONGEST = 200
NUMBERS = itertools.count()


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Make the key of a request fresh, as long as it is one by the document."""
    headers = case.headers or {}
    if KEY in headers and 0 < len(headers[KEY]) <= LONGEST:
        headers[KEY] = f"{headers[KEY]}{next(NUMBERS)}"
