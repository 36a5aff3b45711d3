"""Looks at PromQL text as far as the lint needs it: names, and what stands in which function."""
import re

_STRING = re.compile(r'"[^"]*"')
_METRIC = re.compile(r"\b(?:octet|process)_\w+\b")


def without_strings(expr):
    return _STRING.sub('""', expr)


def metric_uses(expr):
    """Every name of a metric, as often as it stands there."""
    return _METRIC.findall(without_strings(expr))


def metric_names(expr):
    return set(metric_uses(expr))


def arguments(expr, function):
    """The text between the parentheses of every call of `function`."""
    found = []
    for match in re.finditer(rf"\b{function}\s*\(", expr):
        depth, end = 1, match.end()
        while end < len(expr) and depth:
            depth += {"(": 1, ")": -1}.get(expr[end], 0)
            end += 1
        found.append(expr[match.end():end - 1])
    return found
