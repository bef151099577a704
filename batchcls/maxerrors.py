"""How many images may be unreadable before the exit status says so."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from batchcls.errors import ConfigError
from batchcls.text import shown

_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)
_SHARE = re.compile(r"([0-9]{1,3}(?:\.[0-9]{1,15})?)\s*%", re.ASCII)


@dataclass(frozen=True, slots=True)
class Allowance:
    """So many images, or such a share of them; exact, as 5 % of 20 is one."""

    number: int = 0
    share: Fraction | None = None

    def allows(self, unreadable: int, images: int) -> bool:
        """Whether so many of the images may be unreadable."""
        if self.share is None:
            return unreadable <= self.number
        return unreadable <= self.share * images


def parse_max_errors(value: int | str) -> Allowance:
    """Read ``10``, ``"10"`` or ``"0.5%"``. Raises ConfigError."""
    text = str(value).strip()
    if not isinstance(value, bool):
        if _NUMBER.fullmatch(text):
            return Allowance(number=int(text))
        match = _SHARE.fullmatch(text)
        if match and Fraction(match[1]) <= 100:
            return Allowance(share=Fraction(match[1]) / 100)
    raise ConfigError(
        f"run -> max_errors: {shown(text)!r} is neither a number nor a share",
        hint="A number of images, such as 10, or a share of them, such as 5% (0% to 100%).",
    )
