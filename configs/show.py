"""Print some columns of a Parquet file's first rows: python configs/show.py FILE COLUMN …"""

import sys

import pandas as pd


def main() -> None:
    file, *columns = sys.argv[1:]
    table = pd.read_parquet(file)
    print(f"\n{file}: {len(table)} rows, of which these are the first")
    with pd.option_context("display.max_colwidth", 64, "display.width", 200):
        print(table[columns].head(6).to_string(index=False))


if __name__ == "__main__":
    main()
