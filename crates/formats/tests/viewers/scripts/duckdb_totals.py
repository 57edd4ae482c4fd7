"""Asks DuckDB for self and total of each function of Parquet files, for a weight's column.

Prints one JSON list a file: [[name, self, total], ...], numbers as texts. The queries are those of
the documentation of `hotproof_formats::parquet`.
"""

import json
import sys

import duckdb

column = sys.argv[1]
for path in sys.argv[2:]:
    own = duckdb.execute(f'SELECT function, sum("{column}") FROM read_parquet(?) GROUP BY ALL', [path])
    own = dict(own.fetchall())
    total = duckdb.execute(
        f"""SELECT f, sum(w) FROM (
            SELECT "{column}" AS w, unnest(list_distinct(functions)) AS f FROM read_parquet(?)
        ) GROUP BY ALL""",
        [path],
    )
    rows = [[name, str(own.get(name, 0)), str(sum_)] for name, sum_ in total.fetchall()]
    print(json.dumps(rows))
