"""Creates test/fixtures/made/theta/truth.json: compact theta sketches of Apache DataSketches' C++ library.

  python theta_sketches.py

Needs `pip install datasketches`.
"""

import base64
import json
import os

import datasketches

TARGET = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures", "made", "theta")
VALUES = {"longs": lambda i: i, "texts": lambda i: "x" * (i % 40) + str(i)}


def main() -> None:
    os.makedirs(TARGET, exist_ok=True)
    truth = {}
    for name, count in (("longs_0", 0), ("longs_1", 1), ("longs_1000", 1000), ("longs_100000", 100_000), ("texts_300", 300), ("texts_50000", 50_000)):
        sketch = datasketches.update_theta_sketch(12)
        for i in range(count):
            sketch.update(VALUES[name.split("_")[0]](i))
        compact = sketch.compact()
        truth[name] = {"count": count, "kept": compact.num_retained, "theta": str(compact.theta64), "bytes": base64.b64encode(compact.serialize()).decode()}
    with open(os.path.join(TARGET, "truth.json"), "w") as out:
        json.dump(truth, out, indent=1)
        out.write("\n")


main()
