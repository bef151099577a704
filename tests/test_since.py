"""Since when, and how many errors: what people write in a configuration."""

from __future__ import annotations

import time
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchcls.errors import ConfigError
from batchcls.maxerrors import parse_max_errors
from batchcls.since import parse_since

from .conftest import fuzzed

NOW = datetime(2026, 11, 24, 18, 30, tzinfo=timezone.utc)


@pytest.fixture(params=["UTC", "Europe/Berlin", "America/New_York"])
def zone(request, monkeypatch):
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield request.param
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        *(("90m", 5400), ("36h", 129_600), ("7d", 604_800), ("2w", 1_209_600), ("45s", 45)),
        *(("0d", 0), ("1.5h", 5400), (" 7 D ", 604_800), ("36H", 129_600)),
    ],
)
def test_so_long_ago(text, seconds):
    assert parse_since(text, NOW) == NOW.timestamp() - seconds


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2026-11-24T18:30Z", NOW),
        ("2026-11-24T18:30:00Z", NOW),
        ("2026-11-24 19:30+01:00", NOW),
        ("2026-11-24t19:30:00.5+0100", NOW),
        ("2026-11-24T13:00:00-05:30", NOW),
        ("2024-02-29T00:00z", datetime(2024, 2, 29, tzinfo=timezone.utc)),
    ],
)
def test_moment_with_an_offset_is_the_same_everywhere(text, moment, zone):
    assert parse_since(text, NOW) == moment.timestamp()


def test_moment_without_an_offset_is_this_machines(zone):
    hours = {"UTC": 0, "Europe/Berlin": 1, "America/New_York": -5}[zone]
    midnight = datetime(2026, 11, 20, tzinfo=timezone.utc) - timedelta(hours=hours)
    assert parse_since("2026-11-20", NOW) == midnight.timestamp()
    assert parse_since("2026-11-20T12:45", NOW) == midnight.timestamp() + 45_900
    summer = datetime(2026, 7, 1, 12, tzinfo=timezone.utc) - timedelta(hours=hours)
    dst = timedelta(hours=zone != "UTC")
    assert parse_since("2026-07-01T12:00:00", NOW) == (summer - dst).timestamp()


@pytest.mark.parametrize(
    "text",
    [
        *(
            "",
            "yesterday",
            "7",
            "d",
            "-7d",
            "7 days",
            "1e3h",
            "7d 3h",
            "\u0667d",
            "2026-11",
            "20261124",
        ),
        *("2026-02-30", "2026-11-24T25:00", "2026-11-24T18", "2026-11-24T18:30+25:00"),
        *("0000-01-01", "24.11.2026", "2026-11-24T18:30 UTC", "999999999w", "nan d", "1\n7d"),
    ],
)
def test_what_is_no_moment_is_an_error_that_names_the_forms(text):
    with pytest.raises(ConfigError) as caught:
        parse_since(text, NOW)
    assert caught.value.message.startswith("run -> since: ")
    for form in ("2026-11-24", "2026-11-24T18:30", "+01:00", "90m", "36h", "7d", "2w"):
        assert form in caught.value.hint


@pytest.mark.parametrize("text", ["2026-11-24T18:31Z", "2062-11-24"])
def test_moment_to_come_is_an_error(text):
    with pytest.raises(ConfigError, match="still to come"):
        parse_since(text, NOW)


@fuzzed(300)
@given(st.text(alphabet="0123456789-T:+Z.smhdw ", max_size=22))
def test_any_text_is_a_moment_or_a_config_error(text):
    try:
        assert parse_since(text, NOW) <= NOW.timestamp()
    except ConfigError as error:
        assert "run -> since" in error.message


@pytest.mark.parametrize(
    ("value", "images", "most"),
    [
        *((0, 100, 0), (10, 100, 10), ("10", 5, 10), (" 10 ", 100, 10)),
        *(("5%", 20, 1), ("5%", 19, 0), ("5 %", 100, 5), ("0.5%", 1000, 5), ("0.5%", 199, 0)),
        *(("0%", 1000, 0), ("100%", 7, 7), ("33.3%", 1000, 333), ("5%", 0, 0)),
        *(("0.1%", 10**6, 1000), ("29%", 100, 29)),
    ],
)
def test_allowance_is_exact(value, images, most):
    allowance = parse_max_errors(value)
    assert allowance.allows(most, images)
    assert not allowance.allows(most + 1, images)
    assert allowance.allows(0, images)


@pytest.mark.parametrize(
    "value",
    [
        *(
            "",
            "-1",
            "five",
            "5%%",
            "%",
            "101%",
            "1e3",
            "1/2",
            "\u0665",
            "5,5%",
            ".5%",
            "5.%",
            "nan%",
        ),
        *(-1, True, "9" * 40, "1" + "0" * 400 + "%"),
    ],
)
def test_what_is_no_allowance_is_an_error_that_says_what_is(value):
    with pytest.raises(ConfigError) as caught:
        parse_max_errors(value)
    assert caught.value.message.startswith("run -> max_errors: ")
    assert "5%" in caught.value.hint
