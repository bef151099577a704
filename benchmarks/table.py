"""The results in Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.figures import Figures, Limit, Spread
from benchmarks.growth import Grown

NONE = ""
# Characters of a failure that the table quotes; all of it has been said before.
MOST_SAID = 300


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Give a table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine(told: Mapping[str, Any]) -> str:
    """Give the line about the machine."""
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    memory = f", {told['memory'] / 2**30:.0f} GiB of memory" if told["memory"] else ""
    return (
        f"{told['processor']}, {told['cores']} cores to use{memory}, {told['system']}; {versions}."
    )


def speed(
    summed: Mapping[str, Figures], limit: Limit | None, agreements: Mapping[str, float | None]
) -> str:
    """Give the table of pipelines, the fastest first, and the limit in words."""
    header = [
        "pipeline",
        "wall, s",
        "CPU, s",
        "images/s",
        "images/s without start-up",
        "times this project's wall",
        "times without start-up",
        "peak memory, MB: largest process",
        "all processes",
        "share of the limit",
        "share without start-up",
        "same label",
    ]
    rows = [
        [
            name,
            _spread(one.wall),
            f"{one.cpu:.2f}",
            _rate(one.images_per_second),
            _rate(one.inner_images_per_second),
            _times(one.times),
            _times(one.inner_times),
            _megabytes(one.resident),
            _megabytes(one.proportional),
            _percent(one.share),
            _percent(one.inner_share),
            _percent(agreements.get(name)),
        ]
        for name, one in sorted(summed.items(), key=lambda item: item[1].wall.median)
    ]
    text = markdown(header, rows)
    if limit is not None:
        text += (
            "\n\nThe limit, 1 / (1 / decode only + 1 / inference only): "
            f"{_rate(limit.whole)} images/s as whole processes, "
            f"{_rate(limit.inner)} without start-up."
        )
    return text


def starting_up(summed: Mapping[str, Figures]) -> str:
    """Give the table of what starting up takes."""
    rows = [
        [name, _spread(one.wall), _megabytes(one.resident), _megabytes(one.proportional)]
        for name, one in summed.items()
    ]
    return markdown(
        ["command", "wall, s", "peak memory, MB: largest process", "all processes"], rows
    )


def labels(found: Mapping[str, Any]) -> str:
    """Give what became of labels, in words."""
    int8, reduced = found["int8"], found["reduced"]
    lines = [
        f"int8 and float32, the same pixels: the same first label for {int8['same']} of "
        f"{int8['images']} photographs.",
        *_differing(int8, "float32"),
        "",
        "12 megapixels, decoded at reduced scale and in full: the same first label for "
        f"{reduced['same']} of {reduced['images']} photographs. Decoding and framing takes "
        f"{reduced['milliseconds']:.1f} ms at reduced scale and "
        f"{reduced['milliseconds_in_full']:.1f} ms in full, {_times(reduced['times'])} times as "
        "long (one thread, medians).",
        *_differing(reduced, "in full"),
    ]
    return "\n".join(lines)


def growth(grown: Sequence[Grown]) -> str:
    """Give the table of many images."""
    rows = []
    for one in grown:
        first = min((other for other in grown if other.way == one.way), key=lambda it: it.images)
        rate = one.inner_images_per_second
        rows.append(
            [
                one.way,
                f"{one.images:,}",
                _spread(one.wall),
                _rate(one.images / one.wall.median),
                _rate(rate),
                f"{rate / first.inner_images_per_second:.2f}",
                _megabytes(one.resident),
                _megabytes(one.proportional),
            ]
        )
    header = [
        "images are",
        "images",
        "wall, s",
        "images/s",
        "images/s without start-up",
        "of the images/s of the fewest",
        "peak memory, MB: largest process",
        "all processes",
    ]
    return markdown(header, rows)


def failures(failed: Mapping[str, str]) -> str:
    """Say what failed, and why: the beginning and the end of what it said."""
    return "\n".join(f"Left out: {name}: {_ends(why)}" for name, why in failed.items())


def _differing(found: Mapping[str, Any], exact: str) -> list[str]:
    return [
        f"- {one['name']}: {one['ours'][0]} {one['ours'][1]:.3f}, "
        f"{exact} {one['exact'][0]} {one['exact'][1]:.3f} "
        f"(and {one['ours'][0]} {one['exact_of_ours']:.3f})"
        for one in found["differing"]
    ]


def _ends(text: str) -> str:
    line = " ".join(text.split())
    if len(line) <= MOST_SAID:
        return line
    half = MOST_SAID // 2  # what it is about, and what ended it, in whole words
    return f"{line[:half].rpartition(' ')[0]} … {line[-half:].partition(' ')[2]}"


def _spread(values: Spread) -> str:
    digits = 1 if values.median >= 100 else 2
    return f"{values.median:.{digits}f} ({values.least:.{digits}f} to {values.most:.{digits}f})"


def _rate(value: float | None) -> str:
    return NONE if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _times(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{value:.1%}"


def _megabytes(value: int | None) -> str:
    return NONE if value is None else f"{value / 1e6:,.0f}"
