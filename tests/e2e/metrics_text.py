"""Reads the Prometheus text format: enough of it to check octet's own metrics."""
import re
import urllib.request

_SAMPLE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Samples:
    """All samples of one scrape."""

    def __init__(self, text):
        self.samples = []  # (name, {label: value}, value)
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = _SAMPLE.match(line)
                assert match, f"not a sample line: {line!r}"
                self.samples.append((match[1], dict(_LABEL.findall(match[2] or "")), float(match[3])))

    def sum(self, name, **labels):
        """Sum of all samples of that name whose labels include `labels`; 0 without any."""
        return sum(value for sample, have, value in self.samples
                   if sample == name and all(have.get(k) == v for k, v in labels.items()))

    def label_values(self, label):
        return {have[label] for _, have, _ in self.samples if label in have}

    def buckets(self, name, **labels):
        """[(upper bound, cumulative count)] of a histogram, ascending."""
        bounds = {}
        for sample, have, value in self.samples:
            if sample == name + "_bucket" and all(have.get(k) == v for k, v in labels.items()):
                bound = float(have["le"])
                bounds[bound] = bounds.get(bound, 0) + value
        return sorted(bounds.items())


def scrape(address):
    with urllib.request.urlopen(f"http://{address}/metrics", timeout=10) as response:
        return Samples(response.read().decode())
