import assert from "node:assert/strict";
import { test } from "node:test";
import { PARTS, readOptions } from "./options.ts";

test("readOptions() measures everything on two threads by default", () => {
  assert.deepEqual(readOptions([]), {
    runtime: "node",
    backend: "cpu",
    threads: 2,
    parts: [...PARTS],
    contexts: null,
    prompt: 2000,
    rounds: 12,
    quick: false,
    model: null,
    json: null,
  });
  assert.equal(readOptions(["--help"]), null);
});

test("readOptions() takes every option, and --quick only shortens what is not given", () => {
  const words =
    "--runtime bun --backend reference --threads 1 --parts wide,greedy --contexts 64,128 --prompt 9 --quick";
  const options = readOptions(words.split(" "))!;
  assert.equal(options.runtime, "bun");
  assert.equal(options.threads, 1);
  assert.deepEqual(options.parts, ["wide", "greedy"]);
  assert.deepEqual(options.contexts, [64, 128]);
  assert.deepEqual([options.prompt, options.rounds], [9, 3]);
});

test("readOptions() refuses what it does not know", () => {
  const refusals: [string[], RegExp][] = [
    [
      ["--runtime", "browser"],
      /--runtime is one of deno, bun, node: found browser/,
    ],
    [["--parts", "wide,narrow"], /--parts is one of/],
    [["--contexts", "4k"], /--contexts takes whole numbers from 1: found 4k/],
    [["--rounds", "0"], /--rounds takes whole numbers from 1: found 0/],
    [["--fast"], /fast/],
  ];
  for (const [words, message] of refusals) {
    assert.throws(() => readOptions(words), message);
  }
});
