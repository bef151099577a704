"""From measured runs to figures: medians, ratios, and the share of what could be had at best."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks.measuring import Measured


@dataclass(frozen=True)
class Spread:
    """Median, least and most."""

    median: float
    least: float
    most: float


@dataclass(frozen=True)
class Limit:
    """Images per second if two perfect halves took turns: decoding, and the network.

    ``whole`` is made of whole processes, each of which starts up; ``inner`` of what they take
    without that.
    """

    whole: float
    inner: float


@dataclass(frozen=True)
class Figures:
    """What the rounds of one contender amount to.

    ``times`` is how many times as long it takes as this project; ``share`` what it makes of the
    limit; both also without starting up, ``inner_…``. None is what can't be told.
    """

    wall: Spread
    cpu: float
    images_per_second: float
    inner_images_per_second: float | None
    resident: int
    proportional: int | None
    times: float | None
    inner_times: float | None
    share: float | None
    inner_share: float | None


def spread(values: Sequence[float]) -> Spread:
    """Give median, least and most."""
    return Spread(median(values), min(values), max(values))


def ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Give the median of the ratios, round by round: what slowed a round down is in both."""
    return median(one / other for one, other in zip(numerators, denominators, strict=True))


def limit(images: int, decoding: Sequence[Measured], inference: Sequence[Measured]) -> Limit:
    """Give 1 / (1 / decoding + 1 / inference), in images per second; medians over the rounds."""
    pairs = list(zip(decoding, inference, strict=True))
    return Limit(
        whole=images / median(one.wall + other.wall for one, other in pairs),
        inner=images / median(_inner(one) + _inner(other) for one, other in pairs),
    )


def figures(
    images: int,
    rounds: Sequence[Measured],
    ours: Sequence[Measured] | None,
    halves: tuple[Sequence[Measured], Sequence[Measured]] | None,
) -> Figures:
    """Sum up one contender, beside this project's rounds and those of the two halves."""
    walls = [one.wall for one in rounds]
    inners = _inners(rounds)
    own = _inners(ours) if ours else None
    best, inner_best = None, None
    if halves is not None:
        pairs = list(zip(*halves, strict=True))
        best = [one.wall + other.wall for one, other in pairs]
        inner_best = [_inner(one) + _inner(other) for one, other in pairs]
    return Figures(
        wall=spread(walls),
        cpu=median(one.cpu for one in rounds),
        images_per_second=images / median(walls),
        inner_images_per_second=images / median(inners) if inners else None,
        resident=max(one.resident for one in rounds),
        proportional=max((one.proportional or 0 for one in rounds), default=0) or None,
        times=ratio(walls, [one.wall for one in ours]) if ours else None,
        inner_times=ratio(inners, own) if inners and own else None,
        share=ratio(best, walls) if best else None,
        inner_share=ratio(inner_best, inners) if inner_best and inners else None,
    )


def all_figures(
    images: int,
    measured: Mapping[str, Sequence[Measured]],
    ours: str,
    halves: tuple[str, str],
    unlimited: Collection[str] = (),
) -> tuple[dict[str, Figures], Limit | None]:
    """Sum up all contenders; ``ours`` and ``halves`` name those that they are compared with.

    The limit is none for the halves themselves, nor for those in ``unlimited``, which do less.
    """
    decoding, inference = (measured.get(name) for name in halves)
    both = (decoding, inference) if decoding and inference else None
    exempt = {*halves, *unlimited}
    summed = {
        name: figures(images, rounds, measured.get(ours), None if name in exempt else both)
        for name, rounds in measured.items()
    }
    return summed, limit(images, *both) if both else None


def _inner(one: Measured) -> float:
    if one.inner is None:
        raise ValueError("a half does not say what it took without starting up")
    return one.inner


def _inners(rounds: Sequence[Measured]) -> list[float] | None:
    inners = [one.inner for one in rounds if one.inner is not None]
    return inners if len(inners) == len(rounds) else None
