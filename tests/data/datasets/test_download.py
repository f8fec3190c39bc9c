"""Downloads from a local HTTP server: whole, resumed, damaged, refused."""

import hashlib
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from toy_data import compose_config

from vrft_aug.data.datasets.download import download, fetch, fetch_url
from vrft_aug.data.settings import Dataset
from vrft_aug.errors import InputError

CONTENT = bytes(range(256)) * 4000
MD5 = hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server():
    """Serves CONTENT with ranges; `/cut` sends half of the bytes that it announces, `/plain` ignores ranges."""
    ranges = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            if self.path == "/gone":
                return self.send_error(404)
            start = int(self.headers.get("Range", "bytes=0-")[6:-1])
            ranges.append(start)
            if start >= len(CONTENT):
                return self.send_error(416)
            partial = start > 0 and self.path != "/plain"
            body = CONTENT[start if partial else 0 :]
            self.send_response(206 if partial else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if self.path == "/cut" else body)

        def log_message(self, *_):
            pass

    httpd = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=httpd.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{httpd.server_port}", ranges
    httpd.shutdown()
    httpd.server_close()


def test_a_broken_download_is_resumed(tmp_path, server):
    url, ranges = server
    path = tmp_path / "deep" / "toy.npz"
    with pytest.raises(InputError, match=r"connection closed.*run the same command again to resume"):
        fetch_url(f"{url}/cut", path, MD5)
    assert not path.exists()
    fetch_url(f"{url}/whole", path, MD5)
    assert path.read_bytes() == CONTENT and ranges == [0, len(CONTENT) // 2]
    assert [p.name for p in path.parent.iterdir()] == ["toy.npz"]


def test_a_complete_part_is_not_downloaded_again(tmp_path, server):
    (tmp_path / "toy.npz.part").write_bytes(CONTENT)
    fetch_url(f"{server[0]}/whole", tmp_path / "toy.npz", MD5)
    assert (tmp_path / "toy.npz").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_all_again(tmp_path, server):
    (tmp_path / "toy.npz.part").write_bytes(CONTENT[:1000])
    fetch_url(f"{server[0]}/plain", tmp_path / "toy.npz", MD5)
    assert (tmp_path / "toy.npz").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(tmp_path, server):
    with pytest.raises(InputError, match=f"MD5 {MD5} is not the published 0000"):
        fetch_url(f"{server[0]}/whole", tmp_path / "toy.npz", "0000")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_page_names_where_to_put_the_file(tmp_path, server):
    with pytest.raises(InputError, match=r"404.*save the file as"):
        fetch_url(f"{server[0]}/gone", tmp_path / "toy.npz", MD5)


@pytest.mark.parametrize(("name", "page"), [("ham10000", "DBW86T"), ("covid19", "36fjrg9s69"), ("heel", "ima.23084")])
def test_other_sources_are_described(tmp_path, name, page):
    with pytest.raises(InputError, match=rf"{page}.*<data_root>/{name}"):
        download(Dataset.of(compose_config(f"dataset={name}").dataset), str(tmp_path))


def test_the_official_file_is_not_fetched_again(shared_data):
    path = download(Dataset.of(compose_config("dataset=retina").dataset), str(shared_data))
    assert path == shared_data / "medmnist" / "retinamnist.npz"


def test_one_call_fetches_a_data_set_by_its_name(shared_data, tmp_path):
    assert fetch("retina", str(shared_data)) == shared_data / "medmnist" / "retinamnist.npz"
    with pytest.raises(InputError, match="data set 'bloods': must be one of blood, breast"):
        fetch("bloods", str(tmp_path))
    with pytest.raises(InputError, match="size=32: MedMNIST offers 28, 64, 128, 224"):
        fetch("blood", str(tmp_path), "dataset.loader.size=32")


def test_what_medmnist_says_of_its_sets_needs_no_torch():
    code = ("import sys; from vrft_aug.data.datasets.medmnist import info"
            "; info('bloodmnist'); print('torch' in sys.modules)")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
