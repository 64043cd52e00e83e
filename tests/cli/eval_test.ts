import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { backendStatus } from "../../backends/mod.ts";
import { ds, dsJson, pathOf, TINY } from "./fake_process.ts";
import { skip } from "../support/skip.ts";

const text = pathOf("story.txt");
writeFileSync(
  text,
  "Once upon a time there was a little dog. He liked to run in the park with Lily and her ball. ".repeat(8),
);
const BASE = ["eval", "perplexity", ...TINY, "--text", text, "--context", "96"];

test("eval perplexity gives a row per mode with the documented fields", async () => {
  const modes = "dense,double-sparsity,oracle,streaming-llm,paper";
  const found = await dsJson([
    ...BASE,
    "--windows",
    "2",
    "--skip",
    "32",
    "--attention",
    modes,
    "--sparsity",
    "1/8",
  ]);
  const rows = found.rows as Record<string, number | string | null>[];
  assert.deepEqual(rows.map(({ attention }) => attention), modes.split(","));
  for (const row of rows) {
    assert.deepEqual(Object.keys(row).sort(), [
      "accuracy",
      "attention",
      "attentionRecall",
      "densePerplexity",
      "klDivergence",
      "klStandardError",
      "perplexity",
      "positions",
      "sparsity",
      "top1Agreement",
    ]);
    assert.equal(row.positions, 2 * (95 - 32));
    assert.equal(row.densePerplexity, rows[0]!.perplexity);
    assert.equal(row.sparsity, row.attention === "dense" ? 1 : 1 / 8);
  }
  assert.deepEqual([rows[0]!.klDivergence, rows[0]!.top1Agreement], [0, 1]);
  const kl = Object.fromEntries(rows.map((row) => [row.attention, row.klDivergence as number]));
  assert.ok(kl["double-sparsity"]! > 0 && kl["double-sparsity"]! < kl["streaming-llm"]!);
});

test("eval perplexity is exactly dense when nothing is dropped", async () => {
  const found = await dsJson([...BASE, "--attention", "double-sparsity", "--sparsity", "1"]);
  const [row] = found.rows as Record<string, number>[];
  assert.equal(row!.klDivergence, 0);
  assert.equal(row!.perplexity, row!.densePerplexity);
});

test("eval perplexity writes every position's log-probability", async () => {
  const file = pathOf("log.json");
  const found = await dsJson([
    ...BASE,
    "--windows",
    "2",
    "--attention",
    "dense",
    "--log-probabilities",
    file,
  ]);
  const written = JSON.parse(readFileSync(file, "utf8")) as {
    attention: string;
    window: number;
    logProbabilities: number[];
  }[];
  assert.deepEqual(written.map(({ attention, window }) => [attention, window]), [["dense", 0], ["dense", 1]]);
  const all = written.flatMap(({ logProbabilities }) => logProbabilities);
  assert.equal(all.length, 190);
  const perplexity = Math.exp(-all.reduce((sum, value) => sum + value, 0) / all.length);
  const [row] = found.rows as Record<string, number>[];
  assert.ok(Math.abs(perplexity / row!.perplexity! - 1) < 1e-9);
});

test("eval perplexity takes token ids as they are", async () => {
  const ids = [1, 403, 407, 261, 378, 432, 383, 286, 261, 376, 298, 315, 421, 395];
  writeFileSync(pathOf("eval-ids.json"), JSON.stringify(ids));
  const argv = [
    "eval",
    "perplexity",
    ...TINY,
    "--token-ids",
    pathOf("eval-ids.json"),
    "--attention",
    "dense",
  ];
  const [row] = (await dsJson(argv)).rows as Record<string, number>[];
  assert.equal(row!.positions, ids.length - 1);
  writeFileSync(pathOf("eval-ids.json"), JSON.stringify([1, 2, 512]));
  assert.equal((await ds(argv)).code, 65);
});

test("eval perplexity ends with 3 when a gate fails, its table printed all the same", async () => {
  const argv = [...BASE, "--attention", "streaming-llm"];
  const failed = await ds([...argv, "--max-kl", "0.0001"]);
  assert.equal(failed.code, 3);
  assert.match(failed.err, /Quality gate failed: streaming-llm has a KL of .*, allowed is 0.0001/);
  assert.match(failed.out, /^attention .*\nstreaming-llm /);
  assert.equal((await ds([...argv, "--max-perplexity", "2"])).code, 3);
  assert.equal((await ds([...argv, "--max-kl", "100", "--max-perplexity", "1e9"])).code, 0);
});

test("eval perplexity refuses what it cannot measure", async () => {
  const cases: [string[], number, RegExp][] = [
    [["--windows", "100"], 65, /Cannot cut 100 windows of 96 tokens: the text has \d+/],
    [["--skip", "95"], 2, /at most 94/],
    [["--token-ids", text], 2, /together/],
    [["--log-probabilities", pathOf("no/x.json")], 73, /folder/],
  ];
  for (const [argv, code, message] of cases) {
    const found = await ds([...BASE, "--attention", "dense", ...argv]);
    assert.equal(found.code, code, `${argv.join(" ")}: ${found.err}`);
    assert.match(found.err, message);
    assert.equal(found.out, "");
  }
});

test("eval perplexity ends with 69 when the backend is not here", async (t) => {
  const statuses = await backendStatus();
  const absent = statuses.find(({ available }) => !available);
  if (absent === undefined) return skip(t, "every backend works here");
  const found = await ds([...BASE, "--backend", absent.name]);
  assert.equal(found.code, 69, found.err);
  assert.match(found.err, new RegExp(absent.name));
});
