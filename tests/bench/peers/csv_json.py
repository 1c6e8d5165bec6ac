#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A CSV to JSON Lines as most people write it: csv_json.py INPUT OUTPUT."""
import csv
import json
import sys


def main():
    with open(sys.argv[1], newline="", encoding="utf-8") as source, open(sys.argv[2], "w", encoding="utf-8") as target:
        for row in csv.DictReader(source):
            target.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
