import assert from "node:assert/strict";
import { test } from "node:test";
import { rowOf, rowsTable } from "./rows.ts";

const what = { model: "m", mode: "dense", context: 512 };

test("rowOf() divides ds's median by the peer's, whatever the order and number of samples", () => {
  const { ds, peer, ratio } = rowOf(what, [9, 3, 4, 2, 100], [8, 6, 7, 9]);
  assert.equal(ds.median, 4);
  assert.equal(peer.median, 7.5);
  assert.equal(ratio, 4 / 7.5);
  assert.deepEqual(ds.samples, [9, 3, 4, 2, 100]);
});

test("rowOf() finds the tenth and ninetieth percentile between neighbours", () => {
  const { ds } = rowOf(what, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11], [1]);
  assert.deepEqual([ds.p10, ds.median, ds.p90], [2, 6, 10]);
});

test("rowsTable() has a line per row", () => {
  const lines = rowsTable([
    rowOf(what, [4], [8]),
    rowOf({ model: "m", mode: "prefill", context: 2000 }, [4321.5], [2000]),
  ]).trimEnd().split("\n").map((line) => line.trim().split(/\s{2,}/));
  assert.deepEqual(lines[1], [
    "m",
    "dense",
    "512",
    "4.00",
    "4.00",
    "4.00",
    "8.00",
    "8.00",
    "8.00",
    "0.500",
    "1+1",
  ]);
  assert.deepEqual(lines[2].slice(1, 4), ["prefill", "2000", "4322"]);
  assert.equal(lines.length, 3);
});
