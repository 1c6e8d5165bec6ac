#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Write a CSV of orders with a known number of bad rows: make_csv.py FILE [ROWS].

Text of a million rows is made once and written again with other order numbers, since making rows
in Python is slower than any disk. Prints the number of rows and of bad ones.
"""
import random
import sys

BLOCK_ROWS = 1_000_000
BAD_EVERY = 50_000
CITIES = ["Wien", "Zürich", "São Paulo", "Łódź", "東京", "New York", "Reykjavík"]
NOTES = ["", "", "", "gift", '"express, signed for"', '"said ""call first"""', '"two\nlines"']
# A row with a field too many, text after a closing quote, a carriage return alone.
BAD = ["extra,", '"shut" too late', "cut\rshort"]


def block(rows, rng):
    lines = []
    for n in range(rows):
        note = NOTES[n % 7] if n % BAD_EVERY else BAD[n // BAD_EVERY % 3]
        lines.append(f"@{n:07d},customer-{rng.getrandbits(20)},{CITIES[n % 7]},{n % 97 / 4:.2f},"
                     f"2026-{n % 12 + 1:02d}-{n % 28 + 1:02d},{note}\n")
    return "".join(lines).encode()


def main():
    path, wanted = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else BLOCK_ROWS
    n_blocks = -(-wanted // BLOCK_ROWS)
    rows = wanted // n_blocks
    text = block(rows, random.Random(1))
    with open(path, "wb") as file:
        file.write(b"order,customer,city,price,day,note\n")
        for number in range(n_blocks):
            file.write(text.replace(b"@", b"%d-" % number))
    print(n_blocks * rows, n_blocks * -(-rows // BAD_EVERY))


if __name__ == "__main__":
    main()
