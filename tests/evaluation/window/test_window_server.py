"""What the page's server tells, to whom, and that it harms nothing."""

import json
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from repository import ROOT
from starlette.testclient import TestClient
from toy_rollouts import answer, group, write_picture_rows, write_rollouts, write_step
from watching import Watching

from vrft_aug.engine.run import rollouts_file
from vrft_aug.errors import InputError
from vrft_aug.evaluation.window.server import application, serve

TOKEN = "a-token"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_rollouts(tmp_path / "runs" / "run", 2, write_picture_rows(tmp_path / "rows"))


@pytest.fixture
def client(run: Path) -> TestClient:
    return TestClient(application(run.parent, TOKEN), base_url=f"http://127.0.0.1/{TOKEN}/")


def key_of(client: TestClient) -> str:
    return client.get("state").json()["runs"][0]["key"]


def test_states_curves_index_groups_and_images(client):
    key = key_of(client)
    assert client.get("state").json()["runs"][0]["name"] == "run"
    curves = client.get(f"runs/{key}/curves").json()
    assert curves["panels"][0]["title"] == "Training reward" and curves["panels"][0]["lines"][0]["steps"] == [1, 2]
    assert curves["step"] == 2 and "top_prediction is 0.95, above 0.9" in curves["warnings"][0]
    index = client.get(f"runs/{key}/index").json()
    assert [(one["step"], one["split"], len(one["groups"])) for one in index["steps"]] == [
        (1, "train", 3), (1, "val", 2), (2, "train", 3), (2, "val", 2)]  # fmt: skip
    assert [(one["mixed"], one["right"], one["rejected"], one["class"]) for one in index["steps"][0]["groups"]] == [
        (True, 2, 0, "ring"), (False, 3, 0, "cross"), (True, 2, 1, "ring")]  # fmt: skip
    newest = client.get(f"runs/{key}/index?newest=1").json()
    assert newest["steps"] == index["steps"][-1:] and client.get(f"runs/{key}/index?newest=x").json() == index
    found = client.get(f"runs/{key}/groups/2/train").json()
    assert found["asked"] == [{"text": "<image>Which shape?", "knowledge": found["asked"][0]["knowledge"]}]
    first = found["groups"][0]
    assert (first["id"], first["truth"], len(first["answers"]), first["answers"][1]["answer"]) == (
        "train_0", "ring", 3, "cross")  # fmt: skip
    assert (first["image"]["width"], first["image"]["height"]) == (96, 80)
    image = client.get(first["image"]["uri"])
    assert image.headers["content-type"] == "image/jpeg" and "max-age" in image.headers["cache-control"]


def test_warnings_follow_the_bounds_of_the_run(client, run):
    record = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(record | {"warn": {"top_prediction": [None, 0.96]}}))
    assert client.get(f"runs/{key_of(client)}/curves").json()["warnings"] == []


def test_the_page_and_its_files(client):
    assert "text/html" in client.get("").headers["content-type"]
    assert "function showRollouts" in client.get("page.js").text
    assert "prefers-color-scheme" in client.get("page.css").text


@pytest.mark.parametrize("path", ["", "state", "page.js", "runs/x/index"])
@pytest.mark.parametrize("token", ["", "a-toke", "a-token2", "A-TOKEN", "%61-token/..", "..", "a-tokën"])
def test_without_the_token_nothing_is_told(client, token, path):
    answers = [client.get(f"http://127.0.0.1/{token}/{path}"), client.get("http://127.0.0.1/nothing")]
    assert {(one.status_code, one.text, str(sorted(one.headers.items()))) for one in answers} == {
        (404, "Not Found", str(sorted(answers[1].headers.items())))}  # fmt: skip
    assert not {"server", "allow", "location"} & set(answers[0].headers)


def test_another_name_of_the_host_is_not_found(client):
    """A page elsewhere whose name is made to lead to this machine gets nothing, even with the token."""
    assert client.get("state", headers={"host": "evil.example"}).status_code == 404
    assert client.get("state", headers={"host": "localhost:8000"}).status_code == 200
    assert client.get("state", headers={"host": "[::1]:8000"}).status_code == 200


@pytest.mark.parametrize("path", ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "runs/../index", "runs/%2e%2e/index",
                                  "runs/KEY/groups/1/..%2f..%2frun.json", "runs/KEY/groups/9/train", "page.html",
                                  "runs/KEY/groups/1/test", "runs/KEY/image/..%2ftrain/0/0", "runs/KEY/image/test/0/0",
                                  "runs/KEY/image/train/99/0", "runs/KEY/image/train/0/9",
                                  "runs/none/index"])  # fmt: skip
def test_a_path_never_comes_from_an_address(client, path):
    key = key_of(client)
    client.get(f"runs/{key}/groups/1/train")
    assert client.get(path.replace("KEY", key)).status_code == 404


def test_every_answer_has_the_headers(client):
    for path in ("", "state", "page.js", f"runs/{key_of(client)}/index", "none"):
        headers = client.get(path).headers
        assert headers["content-security-policy"].startswith("default-src 'none'")
        assert headers["referrer-policy"] == "no-referrer" and headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"


def test_only_reading_is_allowed(client, run):
    before = {file: file.stat().st_mtime_ns for file in run.rglob("*")}
    for path in ("state", "", f"runs/{key_of(client)}/index"):
        assert client.post(path).status_code == client.delete(path).status_code == 405
    client.get(f"runs/{key_of(client)}/groups/1/train")
    assert {file: file.stat().st_mtime_ns for file in run.rglob("*")} == before


def test_a_damaged_file_is_named_and_the_rest_works(client, run):
    rollouts_file.path_of(run, 1, "train").write_bytes(b"PAR1 no parquet")
    key = key_of(client)
    torn, *rest = client.get(f"runs/{key}/index").json()["steps"]
    assert "00001.train.parquet" in torn["error"] and not torn["groups"] and all(one["groups"] for one in rest)
    damaged = client.get(f"runs/{key}/groups/1/train")
    assert damaged.status_code == 422 and "00001.train.parquet" in damaged.json()["error"]
    assert client.get(f"runs/{key}/groups/2/train").status_code == 200
    (run / "metrics.jsonl").write_text("{\n{}\n")
    assert "metrics.jsonl, line 1" in client.get(f"runs/{key}/curves").json()["error"]
    assert client.get("state").json()["runs"][0]["state"] == "damaged"


def test_a_file_that_a_resumed_training_wrote_again_is_read_again(client, run):
    key = key_of(client)
    before = client.get(f"runs/{key}/index").json()["steps"]
    rollouts_file.drop_after(run, 1)
    assert len(client.get(f"runs/{key}/index").json()["steps"]) == 2
    rollouts_file.write(run, [group(2, 3, ["ring"] * 3)], 64)
    after = client.get(f"runs/{key}/index").json()["steps"][-1]
    assert [one["right"] for one in after["groups"]] == [0] and after["stamp"] != before[2]["stamp"]


def test_runs_without_rollouts_and_without_rows_say_so(client, run):
    write_rollouts(run.parent / "old", 1, started="2026-01-01T00:00:00Z")
    for file in (run.parent / "old" / "rollouts").iterdir():
        file.unlink()
    (run.parent / "old" / "rollouts").rmdir()
    write_rollouts(run.parent / "rowless", 1, run.parent / "gone", started="2026-01-02T00:00:00Z")
    keys = {one["name"]: one["key"] for one in client.get("state").json()["runs"]}
    old, rowless = (client.get(f"runs/{keys[name]}/index").json() for name in ("old", "rowless"))
    assert old["steps"] == [] and "earlier version" in old["note"]
    assert "No images" in rowless["note"] and len(rowless["steps"]) == 2
    assert client.get(f"runs/{keys['rowless']}/groups/1/train").json()["groups"][0]["image"] is None


def test_a_number_that_is_none_and_a_hostile_text_are_data(client, run):
    hostile = "</script><script>alert(1)</script>"
    odd = answer("ring", "ring", hostile, kl=float("inf"), advantage=float("nan"), score=float("nan"))
    rollouts_file.write(run, [group(3, 0, []) | {"answers": [odd], "truth": hostile, "source_id": hostile}], 64)
    found = client.get(f"runs/{key_of(client)}/groups/3/train")
    (one,) = found.json()["groups"]
    assert one["truth"] == hostile and one["answers"][0]["kl"] is one["answers"][0]["score"] is None
    assert found.headers["content-type"] == "application/json"
    assert client.get(f"runs/{key_of(client)}/index").status_code == 200


def test_a_folder_that_does_not_exist_yet(tmp_path):
    client = TestClient(application(tmp_path / "later", TOKEN), base_url=f"http://127.0.0.1/{TOKEN}/")
    assert client.get("state").json() == {"folder": str(tmp_path / "later"), "exists": False, "runs": []}
    write_rollouts(tmp_path / "later", 1)
    assert len(client.get("state").json()["runs"]) == 1


def test_the_recipe_serves_on_loopback_and_ends_by_ctrl_c_with_0(run):
    with Watching(f"run={run}") as server:
        assert re.fullmatch(r"http://127\.0\.0\.1:\d+/[\w-]{32}/", server.url)
        assert server.runs()["run"]["step"] == 2
        server.process.send_signal(signal.SIGINT)
        assert server.end() == (0, "", "")


def test_killing_the_server_leaves_the_run_as_it_is(run):
    with Watching(f"run={run}") as server:
        server.runs()
        before = {str(file): file.stat().st_mtime_ns for file in run.rglob("*")}
    assert {str(file): file.stat().st_mtime_ns for file in run.rglob("*")} == before
    write_step(run, 3)


def test_a_recipe_without_a_run_is_one_line():
    command = [sys.executable, str(ROOT / "recipes" / "watch.py")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("error: run is not set") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(("host", "port"), [("192.0.2.1", 0), ("127.0.0.1", 99999), ("no such host", 0)])
def test_an_address_that_cannot_be_had_is_said(tmp_path, host, port):
    with pytest.raises(InputError, match=f"cannot listen at host={host} port={port}"):
        serve(tmp_path, host, port, None, print)


def test_a_port_in_use_is_said(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(InputError, match="port=0 takes any free port"):
        serve(tmp_path, "127.0.0.1", taken.getsockname()[1], None, print)
    assert list(tmp_path.iterdir()) == []
