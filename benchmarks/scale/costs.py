"""What a number of images costs: core hours, days, money. Arithmetic, with what it assumes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from benchmarks.scale.bucket import KEYS
from benchmarks.table import markdown

# Images a second and core, from docs/performance.md: whole runs over 1,000 photographs, nothing
# known, with the store, on two cores.
PER_CORE = {"with VNNI": 200.0, "without": 40.0}
IMAGES = (10**6, 10**8, 10**10)
CORES = (1, 16, 1000)
NIGHT = 8.0  # hours
_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0

HEADER = [
    "images",
    "machine",
    "core hours",
    "cores for a night of 8 h",
    *(f"on {cores:,} {'core' if cores == 1 else 'cores'}" for cores in CORES),
    "on demand",
    "spot",
    "LIST once, GET",
]


@dataclass(frozen=True)
class Prices:
    """In dollars: of an hour of a core; of 1,000 requests."""

    core_hour: float = 0.04
    spot_core_hour: float = 0.012
    listing: float = 0.005
    getting: float = 0.0004


@dataclass(frozen=True)
class Cost:
    """What some images take: core hours, cores for one night, seconds on CORES, and dollars."""

    core_hours: float
    cores_for_a_night: int
    seconds: tuple[float, ...]
    on_demand: float
    spot: float
    requests: float


def cost(images: int, per_core: float, prices: Prices) -> Cost:
    """Give it, for so many images a second and core."""
    seconds = images / per_core
    hours = seconds / _HOUR
    return Cost(
        core_hours=hours,
        cores_for_a_night=ceil(hours / NIGHT),
        seconds=tuple(seconds / cores for cores in CORES),
        on_demand=hours * prices.core_hour,
        spot=hours * prices.spot_core_hour,
        requests=images / KEYS * prices.listing / 1000 + images * prices.getting / 1000,
    )


def rows(prices: Prices, images: Sequence[int] = IMAGES) -> list[list[str]]:
    """Give the rows of the table."""
    found = []
    for count in images:
        for machine, per_core in PER_CORE.items():
            one = cost(count, per_core, prices)
            found.append(
                [
                    f"{count:,}",
                    f"{machine}: {per_core:,.0f} images/s a core",
                    rounded(one.core_hours),
                    f"{one.cores_for_a_night:,}",
                    *map(duration, one.seconds),
                    f"${one.on_demand:,.2f}",
                    f"${one.spot:,.2f}",
                    f"${one.requests:,.2f}",
                ]
            )
    return found


def table(prices: Prices) -> str:
    """Give the table, in Markdown, and what it assumes."""
    return (
        f"{markdown(HEADER, rows(prices))}\n\n"
        f"Assumed: ${prices.core_hour:g} an hour of a core on demand, ${prices.spot_core_hour:g} "
        f"spot; ${prices.listing:g} for 1,000 LIST requests of {KEYS:,} names each, "
        f"${prices.getting:g} for 1,000 GET."
    )


def duration(seconds: float) -> str:
    """Give a time in the largest unit of which there are two."""
    units = ((_DAY, "days"), (_HOUR, "h"), (_MINUTE, "min"), (1.0, "s"))
    size, name = next((unit for unit in units if seconds >= 2 * unit[0]), units[-1])
    return f"{rounded(seconds / size)} {name}"


def rounded(value: float) -> str:
    """Give two digits, and all that are before the point."""
    return f"{value:,.0f}" if value >= 10 else f"{float(f'{value:.2g}'):g}"
