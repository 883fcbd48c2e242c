"""Results that are remembered for the next who asks. Input from outside bounds neither their number nor their size."""

import functools
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")


def remembered(most: int, longest: int) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Decorate a function of short texts: the results of the last `most` calls are remembered.

    A call whose texts together have more than `longest` characters or bytes is worked out each time.
    """

    def decorate(work: Callable[P, T]) -> Callable[P, T]:
        known = functools.lru_cache(most)(work)

        @functools.wraps(work)
        def answer(*given: P.args, **named: P.kwargs) -> T:
            length = sum(len(one) for one in given if isinstance(one, str | bytes))
            return work(*given, **named) if length > longest else cast("Callable[P, T]", known)(*given, **named)

        return answer

    return decorate


class Recent(Generic[P, T]):
    """A function whose last results are remembered: `most` of them, together no heavier than `weight`.

    The last one is remembered however heavy it is: one document is asked for many times in a row.
    """

    def __init__(self, work: Callable[P, T], weigh: Callable[[T], int], most: int, weight: int) -> None:
        """`weigh` gives the weight of a result. Arguments are hashable."""
        self._work = work
        self._weigh = weigh
        self._most, self._weight = most, weight
        self._known: OrderedDict[Hashable, tuple[T, int]] = OrderedDict()
        self._held = 0
        self._lock = threading.Lock()

    def __call__(self, *given: P.args, **named: P.kwargs) -> T:
        key = given, tuple(sorted(named.items()))
        with self._lock:
            if key in self._known:
                self._known.move_to_end(key)
                return self._known[key][0]
        found = self._work(*given, **named)
        weight = self._weigh(found)
        with self._lock:
            if key not in self._known:
                self._known[key] = found, weight
                self._held += weight
            while len(self._known) > self._most or (self._held > self._weight and len(self._known) > 1):
                _, (_, gone) = self._known.popitem(last=False)
                self._held -= gone
        return found

    def clear(self) -> None:
        """Forget all."""
        with self._lock:
            self._known.clear()
            self._held = 0
