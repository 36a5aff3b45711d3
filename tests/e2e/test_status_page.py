"""The status page, "/" of the metrics port: what it says of a server under load, and how it looks on a phone."""
import html
import re
import urllib.error
import urllib.request

import grpc
import pytest

from octet_server import OctetServer
from pages import check_stands_alone, probe_page
from stubs import octet_pb2

PHONE = (390, 844)


def get(server, path="/"):
    with urllib.request.urlopen(f"http://{server.metrics_address}{path}", timeout=30) as answer:
        return answer.read().decode("utf-8"), answer.headers


def text_of(page):
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", page[page.index("<body>"):])))


@pytest.fixture(scope="module")
def served():
    """A server that has answered calls and failed one, and its page."""
    with OctetServer() as server:
        before, _ = get(server)
        for i in range(30):
            server.stub().Embed(octet_pb2.EmbedRequest(texts=[f"call number {i}", "secret of the caller"]), timeout=30)
        with pytest.raises(grpc.RpcError):
            server.stub().Embed(octet_pb2.EmbedRequest(texts=["secret of the caller"], dimensions=100000), timeout=30)
        page, headers = get(server)
        yield server, before, page, headers


def test_stands_alone_and_loads_itself_again(served):
    _, _, page, headers = served
    check_stands_alone(page)
    assert headers["Content-Type"].startswith("text/html") and headers["Refresh"] == "10"


def test_says_what_is_served(served):
    server, _, page, _ = served
    text = text_of(page)
    state, _ = get(server, "/readyz")
    assert state == "ready\n" and "state ready" in text
    metrics, _ = get(server, "/metrics")
    info = re.search(r'octet_model_info\{(.*)\}', metrics)[1]
    labels = dict(re.findall(r'(\w+)="([^"]*)"', info))
    for name in ("model", "version", "precision", "quantization", "isa"):
        assert labels[name] in text


def test_counts_calls_and_shows_percentiles(served):
    _, before, page, _ = served
    row = re.search(r"<th scope=\"row\">minilm</th>((?:<td>[^<]*</td>){7})", page)
    calls, failed, texts, tokens, *percentiles = re.findall(r"<td>([^<]*)</td>", row[1])
    seconds = float(re.search(r"Traffic of the last (\d+) s", page)[1])
    assert 0 < float(calls) and float(texts) >= 1.9 * float(calls) * 30 / 31
    assert float(tokens.replace(",", "")) > float(texts) and seconds < 65
    assert failed.endswith(" %") and 0 < float(failed[:-2]) < 10
    p50, p95, p99 = map(float, percentiles)
    assert 0 < p50 <= p95 <= p99
    assert "None since the start" in before


def test_shows_errors_without_the_text_of_a_request(served):
    _, _, page, _ = served
    text = text_of(page)
    assert "octet.v1.TextEncoder/Embed minilm INVALID_ARGUMENT dimensions:" in text
    assert "secret" not in page


def test_other_pages_are_missing_still(served):
    server, _, _, _ = served
    with pytest.raises(urllib.error.HTTPError) as refused:
        get(server, "/index.html")
    assert refused.value.code == 404


def test_is_readable_on_a_phone(served, tmp_path):
    _, _, page, _ = served
    path = tmp_path / "status.html"
    path.write_text(page, encoding="utf-8")
    probe = probe_page(path, "{width: document.scrollingElement.scrollWidth, window: innerWidth,"
                             " headings: all('h1, h2'), facts: all('dd'), tables: all('.scroll')}", tmp_path, size=PHONE)
    assert probe["width"] <= probe["window"]
    assert len(probe["headings"]) == 4 and len(probe["tables"]) >= 3
    for left, top, right, bottom in probe["facts"] + probe["tables"]:
        assert 0 <= left < right <= probe["window"] and bottom > top
