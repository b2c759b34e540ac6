"""performer embedding-map: a point for each sequence, where its embedding lies in the plane of largest spread."""
import math
import os

from program import GOLDEN, DeviceTest, main

MODEL = os.path.join(GOLDEN, "models", "mlm-learned-relu")
TILE = ["--set", "compute.matmul=tile"]
LETTERS = "ACDEFGHIKLMNPQRSTVWY"


def protein(number):
    return "M" + "".join(LETTERS[(number * number * 7 + number * i * i + 3 * i) % 20] for i in range(6 + number % 9))


class EmbeddingMap(DeviceTest):
    def setUp(self):
        super().setUp()
        self.write("in.fa", "".join(f">p{i}\n{protein(i)}\n" for i in range(40)))
        self.write("labels.tsv", "name\tmass\twhere\n" + "".join(f"p{i}\t{i}\t{('in', 'out', 'in <b>')[i % 3]}\n" for i in range(38)))

    def map(self, *arguments):
        self.succeeds("embedding-map", MODEL, "in.fa", "-o", "map.svg", "--table", "map.tsv", *arguments, *TILE)
        return [line.split("\t") for line in self.read("map.tsv").splitlines()[1:]], self.read("map.svg")

    def test_points_are_embeddings_seen_from_their_largest_spread(self):
        points, picture = self.map()
        self.succeeds("embed", MODEL, "in.fa", "-o", "x.tsv", *TILE)
        rows = [[float(v) for v in line.split("\t")[1:]] for line in self.read("x.tsv").splitlines()[1:]]
        width = len(rows[0])
        mean = [math.fsum(r[d] for r in rows) / len(rows) for d in range(width)]
        rows = [[r[d] - mean[d] for d in range(width)] for r in rows]
        direction, spread = [1 + d % 3 for d in range(width)], 0.0
        for _ in range(2000):  # power iteration
            along = [sum(a * b for a, b in zip(r, direction)) for r in rows]
            direction = [sum(a * r[d] for a, r in zip(along, rows)) for d in range(width)]
            length = math.sqrt(sum(d * d for d in direction))
            direction = [d / length for d in direction]
        spread = length / sum(v * v for r in rows for v in r)
        sign = 1 if max(direction, key=abs) > 0 else -1
        self.assertEqual([p[0] for p in points], [f"p{i}" for i in range(40)])
        for point, row in zip(points, rows):
            expected = sign * sum(a * b for a, b in zip(row, direction))
            self.assertAlmostEqual(float(point[2]), expected, delta=1e-4)  # embeddings as text have 9 digits
        self.assertIn(f"principal component 1 ({100 * spread:.1f} % of the variance)", picture)
        self.assertEqual(picture.count("h0"), 40 + 1)
        self.assertIn("sequences (40)", picture)

    def test_labels_are_colours(self):
        points, picture = self.map("--labels", "labels.tsv", "--label-column", "where")
        self.assertEqual([p[1] for p in points], [("in", "out", "in <b>")[i % 3] if i < 38 else "" for i in range(40)])
        for name in ("in (13)", "out (13)", "in &lt;b&gt; (12)", "without a label (2)"):
            self.assertIn(f">{name}<", picture)
        self.assertEqual(picture.count("h0"), 40 + 4)

    def test_many_classes_share_the_last_colour(self):
        points, picture = self.map("--labels", "labels.tsv")  # the second column: all differ
        self.assertIn(">others (31)<", picture)
        self.assertIn(">without a label (2)<", picture)
        self.assertEqual([p[1] for p in points].count("others"), 31)

    def test_equal_runs_draw_equal_pictures(self):
        self.assertEqual(self.map("--labels", "labels.tsv"), self.map("--labels", "labels.tsv"))

    def test_wrong_input_is_named(self):
        self.write("one.tsv", "name\np1\n")
        self.write("twice.tsv", "name\tx\np1\ta\np2\tb\np1\ta\n")
        self.write("none.fa", "")
        command = ["embedding-map", MODEL, "in.fa", "-o", "x.svg"]
        self.fails(2, "--output FILE is missing", "embedding-map", MODEL, "in.fa")
        self.fails(2, "--labels", *command, "--label-column", "where")
        self.fails(3, "none.tsv", *command, "--labels", "none.tsv")
        self.fails(3, "no column 'what' in its header", *command, "--labels", "labels.tsv", "--label-column", "what")
        self.fails(3, "one.tsv: names and labels", *command, "--labels", "one.tsv")
        self.fails(3, "twice.tsv: lines 2 and 4 both name 'p1'", *command, "--labels", "twice.tsv")
        self.fails(3, "no sequences", "embedding-map", MODEL, "none.fa", "-o", "x.svg")


if __name__ == "__main__":
    main()
