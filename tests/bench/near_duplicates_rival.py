"""Near-duplicates with datasketch, for comparison with near_duplicates_bench.

Usage: near_duplicates_rival.py FILE (written by near_duplicates_bench --write), with datasketch and
NumPy installed. Candidates of MinHashLSH with the same bands are confirmed by the exact Jaccard
similarity, as in Taskmint; the texts are masked already.
"""
import json
import resource
import sys
import time

from datasketch import MinHash, MinHashLSH

BANDS, ROWS, THRESHOLD = 35, 5, 0.8


def shingles_of(text):
    words = text.split()
    width = min(5, len(words))
    return {" ".join(words[i:i + width]) for i in range(len(words) - width + 1)} if words else set()


def peak_bytes():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def main(path):
    with open(path, encoding="utf-8") as file:
        texts = [json.loads(line)["text"] for line in file]
    before_bytes, begin = peak_bytes(), time.process_time()
    index = MinHashLSH(num_perm=BANDS * ROWS, params=(BANDS, ROWS))
    sets, pairs = [], 0
    for place, text in enumerate(texts):
        shingles = shingles_of(text)
        sets.append(shingles)
        sketch = MinHash(num_perm=BANDS * ROWS, seed=1)
        sketch.update_batch([shingle.encode() for shingle in shingles])
        pairs += any(
            len(shingles & sets[other]) / len(shingles | sets[other]) >= THRESHOLD
            for other in index.query(sketch))
        index.insert(place, sketch)
    seconds = time.process_time() - begin
    print(f"{len(texts)} documents, {pairs} near-duplicates, {seconds:.2f} s CPU, "
          f"peak {(peak_bytes() - before_bytes) / 1e6:.0f} MB above the texts")


if __name__ == "__main__":
    main(sys.argv[1])
