"""Shards of what is in object storage, with their reports there: the real command and server."""

from __future__ import annotations

from .conftest import make_classes, picture
from .images import saved
from .reports import SUFFIXES
from .s3 import S3
from .s3 import s3 as s3  # noqa: PLC0414 - a fixture
from .s3 import s3_server as s3_server  # noqa: PLC0414
from .test_sharding import at_once


def test_shards_at_urls_become_one_report_at_a_url(batchcls, model, s3: S3, tmp_path):
    make_classes(tmp_path / "images", count=6)
    run = ["run", "images", "-m", model, "-q"]
    at = f"s3://{s3.bucket}/reports"
    for suffix in SUFFIXES:
        done = at_once(
            batchcls,
            *([*run, "--shard", f"{k}/3", "-o", f"{at}/{{shard}}{suffix}"] for k in (1, 2, 3)),
        )
        assert [result.status for result in done] == [0, 0, 0], done
        assert batchcls(*run, "-o", f"all{suffix}").status == 0
        merge = ["merge", *(f"{at}/{k}-of-3{suffix}" for k in (1, 2, 3))]
        result = batchcls(*merge, "-o", f"{at}/all{suffix}")
        assert (result.status, result.err) == (0, "")
        assert result.out == f"3 shards, 12 images\nreport: {at}/all{suffix}\n"
        whole = (tmp_path / f"all{suffix}").read_bytes()
        assert s3.content(f"reports/all{suffix}") == whole
        assert s3.count("GET", f"reports/1-of-3{suffix}") == 1
    # Those of the last format are there.
    result = batchcls(*merge[:-1], "-o", f"{at}/all{suffix}")
    assert result.status == 2
    assert "1 of 3 shards is missing: 3" in result.err
    result = batchcls(*merge, f"{at}/gone{suffix}", "-o", f"{at}/all{suffix}")
    assert result.status == 2
    assert f"{at}/gone{suffix}: there is no such object" in result.err
    result = batchcls(*merge, "-o", f"{at}/1-of-3{suffix}")
    assert "is one of the shards, and would be lost" in result.err
    assert s3.content(f"reports/all{suffix}") == whole


def test_images_in_object_storage_are_merged_in_its_order(batchcls, model, s3: S3, tmp_path):
    """It sorts whole keys, and so ``a-b/`` before ``a/``."""
    keys = [f"photos/{place}{n:02}.png" for place in ("a/", "a-b/", "a.", "") for n in range(12)]
    for number, key in enumerate(keys):
        s3.put(key, saved(picture(number), "PNG"))
    run = ["run", f"s3://{s3.bucket}/photos", "-m", model, "-q"]
    done = at_once(batchcls, *([*run, "--shard", f"{k}/3"] for k in (1, 2, 3)))
    assert [result.status for result in done] == [0, 0, 0], done
    result = batchcls(*run, "-o", "all.csv")
    assert result.status == 0, result.err
    reports = [f"report-{k}-of-3.csv" for k in (1, 2, 3)]
    result = batchcls("merge", *reports, "-o", "merged.csv")
    assert (result.status, result.err) == (0, "")
    assert (tmp_path / "merged.csv").read_bytes() == (tmp_path / "all.csv").read_bytes()
    assert (tmp_path / "all.csv").read_text().index("a-b/00") < (
        (tmp_path / "all.csv").read_text().index("a/00")
    )
