"""The real command: train, save, and classify in another process."""

from __future__ import annotations

import csv
import io

from small_networks import network

TRAIN = ("train", "tagged/tags.tsv", "-o", "m.batchcls", "--featurizer", "onnx")


def rows(text):
    return [(row["path"], row["label"], row["score"]) for row in csv.DictReader(io.StringIO(text))]


def test_a_model_runs_without_the_file_that_it_was_made_of(batchcls, tagged, tmp_path):
    (tmp_path / "net.onnx").write_bytes(network(size=32).SerializeToString())
    options = ("-F", "path=net.onnx", "-F", "mean=127", "-F", "scale=0.0078", "-F", "output=map")
    trained = batchcls(*TRAIN, *options)
    assert trained.status == 0, trained.err
    first = batchcls("run", "tagged", "-m", "m.batchcls", "-o", "-", "-q")
    (tmp_path / "net.onnx").unlink()
    again = batchcls("run", "tagged", "-m", "m.batchcls", "-o", "-", "-q", "--jobs", "1")
    assert (again.status, again.err) == (0, "")
    assert rows(again.out) == rows(first.out)
    assert len(rows(first.out)) == 6
    assert all(path.startswith(label) for path, label, _ in rows(first.out))


def test_options_in_the_configuration(batchcls, tagged, tmp_path):
    (tmp_path / "net.onnx").write_bytes(network(size=None).SerializeToString())
    (tmp_path / "config.toml").write_text(
        '[train]\nfeaturizer = "onnx"\n[featurizer.onnx]\npath = "net.onnx"\nsize = 48\n'
        "mean = [120, 110.5, 100]\nscale = [0.0078]\n"
    )
    trained = batchcls("train", "tagged/tags.tsv", "-o", "m.batchcls")
    assert trained.status == 0, trained.err


def test_errors_say_what_to_do(batchcls, tagged, tmp_path):
    (tmp_path / "net.onnx").write_bytes(network(size=None).SerializeToString())
    (tmp_path / "text.onnx").write_text("none")
    for options, said in (
        ((), "needs the option path"),
        (("-F", "path=nowhere.onnx"), "nowhere.onnx: No such file"),
        (("-F", "path=net.onnx"), "as in size=224"),
        (("-F", "path=text.onnx"), "not an ONNX file"),
        (("-F", "path=net.onnx", "-F", "size=0"), "size"),
        (
            ("-F", "path=net.onnx", "-F", "size=32", "-F", "mean=1,2"),
            "mean is one number, or three",
        ),
        (("-F", "path=net.onnx", "-F", "ordr=bgr"), "Did you mean order?"),
    ):
        result = batchcls(*TRAIN, *options)
        assert result.status == 2, result.err
        assert said in result.err
        assert "Traceback" not in result.err
        assert result.out == ""
