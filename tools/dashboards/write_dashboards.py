"""Writes the dashboards as JSON into a folder: write_dashboards.py FOLDER"""
import json
import os
import sys

from grafana_foundation_sdk.cog.encoder import JSONEncoder

import capacity
import overview
import per_model

DASHBOARDS = {"octet-overview": overview.dashboard, "octet-models": per_model.dashboard,
              "octet-capacity": capacity.dashboard}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: write_dashboards.py FOLDER")
    for name, make in DASHBOARDS.items():
        text = json.dumps(make(), cls=JSONEncoder, indent=2, sort_keys=True)
        with open(os.path.join(sys.argv[1], name + ".json"), "w", encoding="utf-8") as f:
            f.write(text + "\n")


if __name__ == "__main__":
    main()
