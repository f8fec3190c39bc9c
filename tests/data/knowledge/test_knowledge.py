"""Bank files are read and checked, and drafted with a local server that speaks the OpenAI protocol over HTTP."""

import base64
import io
import json
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import yaml
from PIL import Image
from toy_data import toy_dataset, write_toy

from vrft_aug.data.knowledge import drafting, reading
from vrft_aug.data.knowledge.endpoint import Endpoint
from vrft_aug.data.knowledge.representatives import thumbnail
from vrft_aug.data.settings import Dataset
from vrft_aug.errors import InputError, RunFailed

ENTRY = {"description": "a bright round spot in the middle", "confidence": "low",
         "attributes": {"color": "bright", "shape": "round", "texture": None, "location": "middle"}}
pytestmark = pytest.mark.filterwarnings("ignore::vrft_aug.data.datasets.sample.DataWarning")


def bank(**classes):
    return {"dataset": "toy", "classes": classes, "sources": {}}


def entry(review="draft", **changes):
    return ENTRY | {"sources": [], "review": review} | changes


def write(path, content):
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return path


def test_a_data_set_may_have_its_own_bank(tmp_path):
    path = write(tmp_path / "toy.yaml", bank(b=entry(description="second thing"), a=entry(description="first thing")))
    classes = reading.read_for(toy_dataset(knowledge=str(path)))["classes"]
    assert [classes[name]["description"] for name in "ab"] == ["first thing", "second thing"]


BROKEN = {
    "missing class": (bank(a=entry()), r"no entry for class 'b'"),
    "unknown class": (bank(a=entry(), b=entry(), c=entry()), r"entry for 'c', which is not a class"),
    "empty description": (bank(a=entry(description=""), b=entry()), r"\$\.classes\.a\.description"),
    "attribute missing": (bank(a=entry(attributes={"color": "red"}), b=entry()), r"\$\.classes\.a\.attributes"),
    "unknown state": (bank(a=entry(review="fine"), b=entry()), r"\$\.classes\.a\.review.*'fine' is not one of"),
    "source not listed": (bank(a=entry(sources=["Nobody99"]), b=entry()), r"class 'a' cites Nobody99"),
    "extra key": (bank(a=entry(colour="red"), b=entry()), r"'colour' was unexpected"),
    "no bank": ({"a": ["x"], "b": "a bright spot"}, r"write one line per class, as 'nodule: a round bright spot'"),
    "short text": ({"a": "x", "b": "a bright spot"}, r"\$\.classes\.a\.description: 'x' is too short"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_bank_is_refused(tmp_path, kind):
    content, message = BROKEN[kind]
    with pytest.raises(InputError, match=message) as caught:
        path = write(tmp_path / "toy.yaml", content)
        reading.read_for(toy_dataset(knowledge=str(path)))
    assert "toy.yaml" in str(caught.value)


def test_no_bank_and_no_yaml(tmp_path):
    with pytest.raises(InputError, match=r"no knowledge file.*prompt=names"):
        reading.read(tmp_path / "none.yaml")
    (tmp_path / "bad.yaml").write_text("a: [")
    with pytest.raises(InputError, match="not YAML"):
        reading.read(tmp_path / "bad.yaml")


def test_one_line_per_class_is_a_bank(tmp_path):
    path = tmp_path / "toy.yaml"
    path.write_text("0: even grey without a spot\nno: a bright spot\n")
    content = reading.read_for(toy_dataset(knowledge=str(path), classes=["0", "no"]))
    entries = content["classes"].values()
    assert [entry["description"] for entry in entries] == ["even grey without a spot", "a bright spot"]
    assert {(entry["confidence"], entry["review"]) for entry in entries} == {("low", "draft")}


def test_a_relative_path_starts_where_the_command_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=rf"{tmp_path}/own\.yaml: no knowledge file.*from the folder where"):
        reading.read_for(toy_dataset(knowledge="own.yaml"))
    write(tmp_path / "own.yaml", bank(a=entry(), b=entry()))
    assert list(reading.read_for(toy_dataset(knowledge="own.yaml"))["classes"]) == ["a", "b"]


def test_the_config_may_describe_the_classes():
    content = reading.read_for(toy_dataset(knowledge={"a": "a bright spot", "b": "a dark spot."}))
    assert reading.texts(content, ["b", "a"], "both") == ["a dark spot", "a bright spot"]
    with pytest.raises(InputError, match=r"conf/dataset/toy\.yaml: knowledge: \$\.classes\.b.*'x' is too short; "):
        reading.read_for(toy_dataset(knowledge={"a": "a bright spot", "b": "x"}))


@contextmanager
def serve(*answers):
    """A chat-completions server on this machine. Each answer is an HTTP state (a failure), a text, or a whole body.

    A failure asks the client to try again after a millisecond.
    """
    seen, todo = [], list(answers)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, self.headers, request))
            answer = todo.pop(0) if len(todo) > 1 else todo[0]
            state, text = (answer, "") if isinstance(answer, int) else (200, answer)
            reply = {"choices": [{"message": {"role": "assistant", "content": text}}],
                     "usage": {"prompt_tokens": 100, "completion_tokens": 20}}
            body = json.dumps(answer if isinstance(answer, dict) else reply).encode()
            self.send_response(state)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Retry-After-Ms", "1")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()


def endpoint(url, **changes):
    return Endpoint(**{"url": url, "model": "toy-vision", "api_key_env": "TOY_KEY", "retries": 3, "timeout": 5,
                       "price_in": 10.0, "price_out": 100.0} | changes)


def run(root, url, path, retries=3, **changes):
    dataset = Dataset.of(write_toy(root, "retina", allow_unverified=True))
    client = endpoint(url, retries=retries)
    options = {"images": 2, "seed": 0, "redraft": False} | changes
    return list(drafting.draft(dataset, dataset.load(str(root)), client, path, **options)), client


def test_drafting_over_http(tmp_path, data_root, monkeypatch):
    monkeypatch.setenv("TOY_KEY", "a secret")
    path = tmp_path / "retina.yaml"
    with serve(f"Here it is:\n```json\n{json.dumps(ENTRY)}\n```") as (url, seen):
        done, client = run(data_root, url, path)
    assert done == [f"{i}/5 {name}" for i, name in enumerate("01234", 1)]
    assert client.cost == pytest.approx(5 * (100 * 10 + 20 * 100) / 1e6)
    route, headers, body = seen[2]
    assert route == "/v1/chat/completions" and headers["Authorization"] == "Bearer a secret"
    parts = body["messages"][0]["content"]
    assert [part["type"] for part in parts] == ["image_url", "image_url", "text"]
    assert base64.b64decode(parts[0]["image_url"]["url"].split(",")[1]).startswith(b"\x89PNG")
    assert "RetinaMNIST" in parts[2]["text"] and 'category "2"' in parts[2]["text"]
    drafted = reading.read(path)["classes"]
    assert list(drafted) == list("01234")
    assert all(e["review"] == "draft" and e["drafted_by"] == "toy-vision" for e in drafted.values())
    assert all("2 images, the nearest to the class's mean" in e["note"] for e in drafted.values())
    assert "secret" not in path.read_text()


def test_the_images_sent_are_those_nearest_to_the_mean(tmp_path, data_root):
    with serve(json.dumps(ENTRY)) as (url, seen):
        run(data_root, url, tmp_path / "retina.yaml")
    sent = [base64.b64decode(part["image_url"]["url"].split(",")[1])
            for part in seen[3][2]["messages"][0]["content"] if part["type"] == "image_url"]
    with np.load(data_root / "medmnist" / "retinamnist.npz") as arrays:
        members = arrays["train_images"][arrays["train_labels"][:, 0] == 3]
    looks = np.stack([thumbnail(Image.fromarray(member)).ravel() for member in members])
    order = np.linalg.norm(looks - looks.mean(axis=0), axis=1).argsort()
    shown = [np.asarray(Image.open(io.BytesIO(one))) for one in sent]
    assert len(members) == 4 and len(shown) == 2
    for picture, place in zip(shown, sorted(order[:2]), strict=True):  # in the data set's order
        assert (picture == members[place]).all()


def test_reviewed_entries_are_never_overwritten(tmp_path, data_root):
    reviewed = entry("expert-reviewed", description="what a physician wrote", reviewed_by="A", reviewed_on="2026-01-01")
    path = write(tmp_path / "retina.yaml", bank(**{"0": reviewed, "1": entry(description="an old draft")}))
    with serve(json.dumps(ENTRY)) as (url, seen):
        run(data_root, url, path)
        assert len(seen) == 3  # neither the reviewed entry nor the draft
        run(data_root, url, path, redraft=True)
    classes = reading.read(path)["classes"]
    assert classes["0"] == reviewed
    assert classes["1"]["description"] == ENTRY["description"]


def test_retries_with_back_off_then_succeeds(tmp_path, data_root):
    with serve(503, 429, 500, json.dumps(ENTRY)) as (url, seen):
        done, _ = run(data_root, url, tmp_path / "retina.yaml")
    assert len(done) == 5 and len(seen) == 8


def test_an_unusable_answer_is_asked_for_again(tmp_path, data_root):
    with serve("I cannot say", json.dumps(ENTRY | {"confidence": "sure"}), json.dumps(ENTRY)) as (url, seen):
        run(data_root, url, tmp_path / "retina.yaml")
        assert len(seen) == 7
    with serve("I cannot say") as (url, _), pytest.raises(RunFailed, match="no usable entry in 3 answers"):
        run(data_root, url, tmp_path / "other.yaml")
    assert not (tmp_path / "other.yaml").exists()


def test_giving_up_keeps_what_was_drafted(tmp_path, data_root):
    path = tmp_path / "retina.yaml"
    with serve(json.dumps(ENTRY), json.dumps(ENTRY), 503) as (url, _), pytest.raises(RunFailed, match="HTTP 503"):
        run(data_root, url, path)
    assert list(reading.read(path)["classes"]) == ["0", "1"]
    with serve(json.dumps(ENTRY)) as (url, seen):
        run(data_root, url, path)
        assert len(seen) == 3
    assert list(reading.read(path)["classes"]) == list("01234")


def test_a_refusal_is_not_retried(tmp_path, data_root):
    with serve(401) as (url, seen), pytest.raises(InputError, match=r"HTTP 401 for the model toy-vision.*TOY_KEY"):
        run(data_root, url, tmp_path / "retina.yaml")
    assert len(seen) == 1


def test_nobody_listens(tmp_path, data_root):
    with pytest.raises(RunFailed, match="no answer with 1 retries"):
        run(data_root, "http://127.0.0.1:9/v1", tmp_path / "retina.yaml", retries=1)


def test_an_answer_of_another_form_is_a_failure(tmp_path, data_root):
    with serve({"hello": "world"}) as (url, _), pytest.raises(RunFailed, match="no answer with"):
        run(data_root, url, tmp_path / "retina.yaml")

