"""The benchmark: what it measures is what it says. No figure of a machine is tested."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time

import numpy as np
import pytest
from PIL import Image

from benchmarks import contenders, figures, growth, machine, options, photographs, table
from benchmarks.framed import IN_FULL, framed
from benchmarks.measuring import CommandError, Contender, Measured, alternate, measure
from benchmarks.networks.building import DisagreementError, require_agreement
from benchmarks.networks.onnx_graph import padding
from benchmarks.pipelines.common import batches, printed_seconds, write_report
from benchmarks.pipelines.pillow_input import pixels_of
from benchmarks.treememory import available, sampled

from .conftest import ASSETS, ROOT, picture

pytestmark = pytest.mark.skipif(not hasattr(os, "wait4"), reason="needs os.wait4")


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "sources"
    folder.mkdir()
    for number, size in enumerate([(64, 48), (48, 64), (90, 60)]):
        picture(number, size).save(folder / f"{number}.jpg")
    (folder / "notes.txt").touch()
    return photographs.sources_in(folder)


# Photographs


def test_photographs_are_the_same_each_time_and_all_different(tmp_path, sources):
    contents = []
    for name in ("one", "other"):
        photographs.make("small", 7, sources, tmp_path / name)
        files = sorted((tmp_path / name).glob("*.jpg"))
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    assert len(set(contents[0])) == 7


@pytest.mark.parametrize(("kind", "pixels"), [("small", 500 * 375), ("large", 4000 * 3000)])
def test_photographs_have_their_size_and_the_shape_of_their_source(tmp_path, sources, kind, pixels):
    photographs.make(kind, 2, sources, tmp_path / kind)
    for source, name in zip(sources, ["000000-0.jpg", "000001-1.jpg"], strict=False):
        with Image.open(source) as before, Image.open(tmp_path / kind / name) as image:
            assert image.format == "JPEG"
            assert image.width * image.height == pytest.approx(pixels, rel=0.01)
            assert image.width / image.height == pytest.approx(
                before.width / before.height, rel=0.01
            )


def test_a_complete_folder_is_left_alone_and_another_is_completed(tmp_path, sources):
    folder = tmp_path / "images"
    photographs.make("small", 2, sources, folder)
    (folder / "000000-0.jpg").unlink()
    photographs.make("small", 2, sources, folder)
    assert not (folder / "000000-0.jpg").exists()
    (folder / photographs.COMPLETE).unlink()
    photographs.make("small", 2, sources, folder)
    assert (folder / "000000-0.jpg").exists()


def test_a_folder_is_named_by_its_sources(sources):
    names = {
        photographs.folder_name("small", 2, sources),
        photographs.folder_name("small", 3, sources),
        photographs.folder_name("large", 2, sources),
        photographs.folder_name("small", 2, sources[1:]),
    }
    assert len(names) == 4


def test_without_photographs_there_is_nothing_to_start_from(tmp_path):
    with pytest.raises(FileNotFoundError, match="no JPEG"):
        photographs.sources_in(tmp_path)


# Figures


def rounds(*walls, inner=0.5, proportional=None):
    return [Measured(wall, wall, 1_000_000, proportional, wall * inner) for wall in walls]


def test_a_ratio_is_the_median_of_those_of_a_round():
    # The second round was slow for both, which medians of either alone would not tell.
    assert figures.ratio([4.0, 40.0, 6.0], [2.0, 20.0, 2.0]) == 2.0


def test_the_limit_is_of_two_halves_that_take_turns():
    limit = figures.limit(100, rounds(1.0, 1.0, 9.0), rounds(3.0, 3.0, 3.0))
    assert limit.whole == pytest.approx(25.0) == pytest.approx(1 / (1 / 100 + 1 / (100 / 3)))
    assert limit.inner == pytest.approx(50.0)


def test_figures_of_a_contender_beside_the_others():
    measured = {
        "this project": rounds(5.0, 10.0, 5.0, inner=0.8),
        "slow": rounds(10.0, 30.0, 10.0, proportional=3_000_000),
        "decode only": rounds(1.0, 2.0, 1.0),
        "inference only": rounds(3.0, 6.0, 3.0),
    }
    summed, limit = figures.all_figures(
        100, measured, "this project", ("decode only", "inference only")
    )
    ours, slow = summed["this project"], summed["slow"]
    assert ours.wall == figures.Spread(5.0, 5.0, 10.0)
    assert (ours.images_per_second, ours.inner_images_per_second) == (20.0, 25.0)
    assert (ours.times, ours.share, ours.inner_share) == (1.0, 0.8, 0.5)
    assert (summed["decode only"].share, summed["decode only"].times) == (None, 0.2)
    assert (slow.times, slow.share, slow.inner_share) == (2.0, 0.4, 0.4)
    assert slow.inner_times == pytest.approx(1.25)
    assert (ours.proportional, slow.proportional) == (None, 3_000_000)
    assert limit == figures.Limit(25.0, 50.0)


def test_without_the_halves_there_is_no_share_and_without_ours_no_ratio():
    summed, limit = figures.all_figures(
        10, {"slow": rounds(2.0)}, "this project", ("decode only", "inference only")
    )
    assert limit is None
    assert (summed["slow"].share, summed["slow"].times) == (None, None)
    assert table.speed(summed, None, {}).count("\n") == 2


# Measuring


def command(code, name="it", **more):
    return Contender(name, [sys.executable, "-c", code], **more)


def test_commands_take_turns_and_one_that_fails_is_told_and_left_out(tmp_path):
    (tmp_path / "turns").touch()
    turn = "open('turns', 'a').write({!r})"
    fails_later = "import os, sys; sys.exit('no more') if os.path.getsize('turns') > 4 else 0"
    said = []
    results = alternate(
        [
            command(turn.format("a"), "a"),
            command("raise SystemExit('it is broken')", "broken"),
            command(fails_later, "later"),
            command(turn.format("b"), "b"),
        ],
        2,
        str(tmp_path),
        said.append,
    )
    assert (tmp_path / "turns").read_text() == "ababab"
    assert {name: len(runs) for name, runs in results.measured.items()} == {"a": 2, "b": 2}
    assert "it is broken" in results.failed["broken"]
    assert "no more" in results.failed["later"]
    assert "Left out: broken: exit status 1: it is broken" in table.failures(results.failed)
    assert sum("it is broken" in line for line in said) == 1


def test_wall_processor_and_memory_are_the_commands(tmp_path):
    code = "import time; x = bytearray(80_000_000); time.sleep(0.3); print(7.5)"
    one = measure(command(code, inner=float), str(tmp_path))
    assert one.wall > 0.3 > one.cpu > 0
    assert one.resident > 80e6  # and at least what this process has, which may be much
    assert (one.inner, one.proportional) == (7.5, None)


@pytest.mark.skipif(not available(), reason="needs /proc/PID/smaps_rollup")
def test_memory_of_all_processes_is_summed():
    child = "import time; x = bytearray(50_000_000); print(flush=True); time.sleep(9)"
    parent = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {child!r}], stdout=subprocess.PIPE)
child.stdout.readline()
x = bytearray(50_000_000)
print(flush=True)
sys.stdin.read()
child.kill()
"""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", parent], **pipes) as process:
        process.stdout.readline()
        with sampled(process.pid, 0.01) as peak:
            while peak.bytes is None:
                time.sleep(0.01)
        process.stdin.close()
    assert 100e6 < peak.bytes < 200e6


def test_what_measures_is_small_since_it_is_counted_in_what_it_starts():
    code = "import benchmarks.__main__, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    heavy = {"numpy", "PIL", "tensorflow", "onnxruntime", "joblib", "batchcls"}
    assert heavy & set(done.stdout.split()) == set()


# Networks and pipelines


@pytest.mark.parametrize(
    ("edge", "kernel", "stride", "expected"),
    [(224, 3, 2, (0, 1)), (112, 3, 1, (1, 1)), (56, 5, 2, (1, 2)), (7, 1, 1, (0, 0))],
)
def test_padding_is_tensorflows(edge, kernel, stride, expected):
    assert padding(edge, kernel, stride) == expected


def test_networks_that_disagree_are_refused():
    expected = np.full((2, 4), 0.25, np.float32)
    assert require_agreement("onnx", expected, expected + np.float32(1e-6)) < 1e-5
    with pytest.raises(DisagreementError, match=r"onnx: .* differ .* 0\.01"):
        require_agreement("onnx", expected, expected + np.float32(0.01))
    with pytest.raises(DisagreementError):
        require_agreement("onnx", expected, expected * np.nan)
    with pytest.raises(DisagreementError, match="is due"):
        require_agreement("onnx", expected, expected[:1])


def test_pillow_pipelines_see_what_this_project_sees(tmp_path):
    from batchcls.decode import Decoder

    picture(1, (600, 420)).save(tmp_path / "a.png")
    [pixels] = pixels_of([str(tmp_path / "a.png")])
    ours = framed(Decoder(), str(tmp_path / "a.png"))
    assert np.abs(pixels.astype(int) - ours).mean() < 1


def test_decoding_in_full_is_asked_for_by_the_size_of_the_input(tmp_path):
    from batchcls.decode import Decoder

    picture(1, (2400, 1600)).save(tmp_path / "a.jpg")
    decoder = Decoder()
    reduced, full = (decoder.decode(str(tmp_path / "a.jpg"), size) for size in (224, IN_FULL))
    assert reduced.image.size < full.image.size == (2400, 1600)


def test_reports_are_read_back_by_label(tmp_path):
    scores = np.eye(1000, dtype=np.float32)[[0, 1, 2]]
    report = tmp_path / "report.csv"
    write_report(str(report), ["x/a.jpg", "x/b.jpg", "x/c.jpg"], [scores[:2], scores[2:]])
    labels = contenders.labels_in(report)
    assert list(labels) == ["a.jpg", "b.jpg", "c.jpg"]
    assert labels["a.jpg"] == "tench"
    assert [*batches("abcde", 2)] == ["ab", "cd", "e"]
    assert printed_seconds('noise\n{"seconds": 1.5}\n') == 1.5


def test_agreement_counts_the_same_labels(tmp_path):
    place = contenders.Place(tmp_path, 2, tmp_path, tmp_path, 1, lambda _: tmp_path)
    assert contenders.agreement(place, "tf.data + Keras") is None
    place.report("this project").write_text("path,label\na,cat\nb,dog\n")
    place.report("tf.data + Keras").write_text("path,label\nb,dog\na,fox\n")
    assert contenders.agreement(place, "tf.data + Keras") == 0.5
    assert contenders.agreement(place, "this project") is None


def test_many_images_are_other_contents_that_decode_alike(tmp_path, sources):
    from batchcls.decode import Decoder

    growth.fill(tmp_path / "copies", sources, 7, growth.copy_with_number)
    growth.fill(tmp_path / "links", sources, 7, growth.link)
    copies, links = (sorted((tmp_path / name).rglob("*.jpg")) for name in ("copies", "links"))
    assert len({file.read_bytes() for file in copies}) == 7
    assert os.path.samefile(links[0], sources[0])
    decoder = Decoder()
    pixels = [framed(decoder, str(file)) for file in (copies[4], links[4])]
    assert np.array_equal(*pixels)


# The command


def test_names_are_checked_and_kept_in_their_order(capsys):
    asked = options.read(["--only", "Decode only, this project"])
    assert asked.only == ["this project", "decode only"]
    with pytest.raises(SystemExit):
        options.read(["--only", "decode"])
    assert "there is no 'decode'" in capsys.readouterr().err


def test_machine_tells_versions():
    told = json.loads(json.dumps(machine.describe()))
    assert told["cores"] >= 1
    assert re.search(r"cores to use.*Python 3\.\d+.*Pillow \d", table.machine(told))


def benchmark(tmp_path, *more):
    line = [sys.executable, "-m", "benchmarks", "--folder", tmp_path / "cache"]
    line += ["--photos", ASSETS / "images", "--rounds", "1", *more]
    return subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)


def test_the_whole_of_it_without_the_others(tmp_path):
    out = tmp_path / "table.md"
    names = ["this project", "this project (nothing new)", "decode only", "inference only"]
    done = benchmark(
        tmp_path, "--only", ",".join(names), "--images", "24", "--large", "0", "--no-labels",
        "--out", out,
    )  # fmt: skip
    assert (done.returncode, out.read_text()) == (0, done.stdout), done.stderr
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]]
        for line in done.stdout.splitlines()
        if line.startswith("| ")
    ]
    header = rows[0]
    figures_of = {row[0]: dict(zip(header, row, strict=True)) for row in rows if len(row) > 4}
    assert set(names) <= set(figures_of)
    assert 0 < float(figures_of["this project"]["share of the limit"].rstrip("%")) < 200
    assert figures_of["this project"]["times this project's wall"] == "1.00"
    assert re.search(r"The limit.*: [\d.,]+ images/s as whole processes, [\d.,]+", done.stdout)
    assert "batchcls run, one image, nothing known" in done.stdout
    assert [path.name[:9] for path in (tmp_path / "cache").iterdir()] == ["small-24-"]


def test_a_pipeline_that_cannot_be_had_is_told_and_the_others_stay(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    done = benchmark(
        tmp_path, "--only", "Pillow + ONNX Runtime,decode only", "--images", "3", "--large", "0",
        "--no-labels", "--no-start-up",
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert re.search(r"Left out: Pillow \+ ONNX Runtime: .* can't be built: ", done.stdout)
    assert "| decode only |" in done.stdout


def test_growing(tmp_path):
    done = benchmark(tmp_path, "--growth", "--images", "3", "--sizes", "3,6")
    assert done.returncode == 0, done.stderr
    for way in (growth.COPIES, growth.LINKS):
        assert f"| {way} | 3 |" in done.stdout
        assert f"| {way} | 6 |" in done.stdout


def test_a_run_that_did_other_work_is_an_error(tmp_path):
    summary = tmp_path / "summary.json"
    run = contenders.Run([], {}, tmp_path / "store", summary)
    counts = {"images": 5, "error": 0, "recalled": 5}
    summary.write_text(json.dumps({"counts": counts, "seconds_classifying": 1.25}))
    assert run.seconds(5, 5) == 1.25
    with pytest.raises(CommandError, match="5 images, 0 of them known"):
        run.seconds(5, 0)
