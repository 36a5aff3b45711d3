"""PromQL as the dashboards need it: every expression over the chosen replicas, sums before percentiles."""

SCOPE = 'namespace=~"$namespace",instance=~"$instance"'
MODEL = 'model=~"$model"'

REQUESTS = "octet_request_duration_seconds"
TOKENIZE = "octet_tokenize_duration_seconds"
QUEUE = "octet_queue_duration_seconds"
INFERENCE = "octet_inference_duration_seconds"

# Failures that spend the error budget: the server's, not those of a caller who asked for something wrong. As in
# deploy/prometheus/octet.rules.yml.
SERVER_CODES = "UNKNOWN|DEADLINE_EXCEEDED|RESOURCE_EXHAUSTED|ABORTED|INTERNAL|UNAVAILABLE|DATA_LOSS"


def select(metric, *matchers):
    return f"{metric}{{{','.join((SCOPE, *matchers))}}}"


def add(expression, by=()):
    return f"sum by ({', '.join(by)}) ({expression})" if by else f"sum({expression})"


def rate(counter, *matchers, by=()):
    """Per second, added up over replicas."""
    return add(f"rate({select(counter, *matchers)}[$__rate_interval])", by)


def total(gauge, *matchers, by=()):
    return add(select(gauge, *matchers), by)


def largest(gauge, *matchers, by=()):
    inner = select(gauge, *matchers)
    return f"max by ({', '.join(by)}) ({inner})" if by else f"max({inner})"


def divide(part, whole):
    return f"{part} / {whole}"


def quantile(q, histogram, *matchers, by=()):
    """Of all replicas together: buckets are added first."""
    return f"histogram_quantile({q}, {rate(histogram + '_bucket', *matchers, by=('le', *by))})"


def mean(histogram, *matchers, by=()):
    return divide(rate(histogram + "_sum", *matchers, by=by), rate(histogram + "_count", *matchers, by=by))


def buckets(histogram, *matchers):
    """For a heatmap: observations by bucket in each step."""
    return add(f"increase({select(histogram + '_bucket', *matchers)}[$__rate_interval])", ("le",))


def server_error_ratio(*matchers, by=()):
    """1 - good / all, which is 0 and not empty as long as nothing has failed."""
    good = rate(REQUESTS + "_count", f'code!~"{SERVER_CODES}"', *matchers, by=by)
    return f"1 - {divide(good, rate(REQUESTS + '_count', *matchers, by=by))}"
