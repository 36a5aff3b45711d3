"""What dpkg knows of an installed package."""
import subprocess


def describe(name):
    """(version, package URL); raises if it is not installed."""
    output = subprocess.run(["dpkg-query", "-W", "-f", "${Version} ${Architecture}\n", name], check=True,
                            capture_output=True, text=True).stdout
    version, architecture = output.splitlines()[0].split()
    # The purl specification's type "deb"; a colon and a plus in a version are percent-encoded.
    encoded = version.replace(":", "%3A").replace("+", "%2B")
    return version, f"pkg:deb/debian/{name}@{encoded}?arch={architecture}"
