"""What a report page consists of, by its text and as a browser lays it out."""
import html.parser
import json
import re
import shutil
import subprocess

import pytest

BROWSERS = ["chromium", "chromium-headless-shell", "chromium-browser", "google-chrome"]


class Elements(html.parser.HTMLParser):
    """Counts of the elements of a page."""

    def __init__(self, page):
        super().__init__()
        self.counts = {}
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.counts[tag] = self.counts.get(tag, 0) + 1


def check_stands_alone(text):
    assert not {"script", "link", "img", "iframe"} & set(Elements(text).counts)
    assert not re.search(r"https?:|url\(|@import", text)


def probe_page(page, expression, tmp_path, size=(1200, 1000)):
    """The value of a JavaScript expression in the page at path `page`, laid out in a window of that size; in it,
    all(selector) gives the boxes of elements, [left, top, right, bottom]. Skips loudly without a browser."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"SKIPPED: none of {', '.join(BROWSERS)} is installed")
    script = f"""<script>
const box = e => {{ const r = e.getBoundingClientRect(); return [r.left, r.top, r.right, r.bottom]; }};
const all = s => [...document.querySelectorAll(s)].map(box);
document.body.dataset.probe = JSON.stringify({expression});
</script>"""
    probed = tmp_path / "page.html"
    probed.write_text(page.read_text(encoding="utf-8").replace("</body>", script + "</body>"), encoding="utf-8")
    # --dump-dom shows what the script found.
    done = subprocess.run([browser, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/profile",
                           f"--window-size={size[0]},{size[1]}", "--dump-dom", f"file://{probed}"],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    match = re.search(r'data-probe="([^"]*)"', done.stdout)
    assert match, done.stdout[-2000:] + done.stderr[-2000:]
    return json.loads(match[1].replace("&quot;", '"'))
