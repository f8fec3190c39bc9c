"""Holds many tuples of texts, numbers and bytes in arrow's columns: a fraction of the memory of Python objects."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import pyarrow as pa

T_co = TypeVar("T_co", covariant=True)
BATCH = 4096  # tuples that wait as Python objects until they become columns


class Columns(Sequence[T_co]):
    """A sequence that only grows. Each element is stored as columns, and made again when it is read.

    schema: the types of an element's values. make: a tuple of values -> the element.
    """

    def __init__(self, schema: pa.Schema, make: Callable[[tuple[Any, ...]], T_co]):
        self.schema, self.make = schema, make
        self._batches: list[pa.RecordBatch] = []  # of BATCH tuples each
        self._pending: list[tuple[Any, ...]] = []

    def append(self, values: tuple[Any, ...]) -> None:
        self._pending.append(values)
        if len(self._pending) == BATCH:
            self._batches.append(self._packed())
            self._pending = []

    def __len__(self) -> int:
        return BATCH * len(self._batches) + len(self._pending)

    def __iter__(self) -> Iterator[T_co]:
        for batch in self._batches:
            yield from map(self.make, zip(*(column.to_pylist() for column in batch.columns), strict=True))
        yield from map(self.make, self._pending)

    def __getitem__(self, place: Any) -> Any:
        """One element, or a list of those of a slice."""
        if isinstance(place, slice):
            return [self[one] for one in range(*place.indices(len(self)))]
        number = range(len(self))[place]  # raises IndexError, and counts negative places from the end
        batch, row = divmod(number, BATCH)
        if batch == len(self._batches):
            return self.make(self._pending[row])
        return self.make(tuple(column[row].as_py() for column in self._batches[batch].columns))

    def table(self) -> pa.Table:
        """All elements as an arrow table."""
        waiting = [self._packed()] if self._pending else []
        return pa.Table.from_batches([*self._batches, *waiting], schema=self.schema)

    def _packed(self) -> pa.RecordBatch:
        columns = zip(zip(*self._pending, strict=True), self.schema, strict=True)
        return pa.RecordBatch.from_arrays([pa.array(values, field.type) for values, field in columns],
                                          schema=self.schema)  # fmt: skip
