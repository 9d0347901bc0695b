"""What is remembered of people, one row each: numpy takes a step for all of them at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeVar

import numpy as np

People = TypeVar("People", bound="Rows")


@dataclass
class Rows:
    """Base of dataclasses whose fields are arrays (P, ...), or such dataclasses themselves.

    ``rows[which]`` are the rows of some people, ``rows[which] = others`` puts them back.
    """

    def __getitem__(self: People, which: Any) -> People:
        return type(self)(*(getattr(self, f.name)[which] for f in fields(self)))

    def __setitem__(self: People, which: Any, others: People) -> None:
        for f in fields(self):
            getattr(self, f.name)[which] = getattr(others, f.name)

    @classmethod
    def joined(cls: type[People], parts: Sequence[People]) -> People:
        """The people of all parts, one part after another."""
        columns = [[getattr(part, f.name) for part in parts] for f in fields(cls)]
        return cls(*(c[0].joined(c) if isinstance(c[0], Rows) else np.concatenate(c)
                     for c in columns))  # fmt: skip
