import assert from "node:assert/strict";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { missingShared, sharedJson, sharedPath } from "../support/shared_data.ts";
import { ds, dsJson, FOLDER, pathOf, TINY } from "./fake_process.ts";
import { skip } from "../support/skip.ts";

const STORY = "Once upon a time";
/** What an independent implementation of the model says greedily after STORY (BOS and the prompt's ids in front). */
const PROMPT_IDS = [1, 403, 407, 261, 378];
const STORY_IDS = [432, 383, 286, 261, 376, 298, 315, 421, 395, 317, 426, 338];

test("run gives the documented JSON fields and the known greedy ids when attention is dense", async () => {
  const found = await dsJson(["run", STORY, ...TINY, "--attention", "dense", "--max-tokens", "12"]);
  assert.deepEqual(found.promptTokenIds, PROMPT_IDS);
  assert.deepEqual(found.tokenIds, STORY_IDS);
  assert.equal(found.promptTokens, 5);
  assert.equal(found.generatedTokens, 12);
  assert.equal(found.stopReason, "max-tokens");
  assert.equal(found.backend, "reference");
  assert.equal(typeof found.device, "string");
  assert.match(found.text as string, /^, there was a little girl named/);
  for (const field of ["ttftMs", "prefillTokensPerSecond", "decodeTokensPerSecond"]) {
    assert.ok((found[field] as number) > 0, field);
  }
  const { mode, sparsity, kvBytesPerToken, denseKvBytesPerToken, denseFallbackSteps } = found
    .attention as Record<string, unknown>;
  assert.deepEqual([mode, sparsity, denseFallbackSteps], ["dense", 1, 0]);
  assert.equal(kvBytesPerToken, denseKvBytesPerToken);
});

test("run makes, caches and announces a quick calibration once when a model has none", async () => {
  const home = { home: pathOf("fresh-home") };
  // A short --context must not make a calibration that later, longer runs would suffer from.
  const argv = ["run", STORY, ...TINY, "--sparsity", "1/16", "--max-tokens", "3", "--context", "40"];
  const first = await ds(argv, home);
  assert.equal(first.code, 0, first.err);
  assert.match(first.err, /no calibration of stories260k yet: a quick one is made on 512 tokens/);
  assert.equal(
    readdirSync(join(home.home, "cache", "calibrations")).join().replace(/[0-9a-f]{32}/, "id"),
    "id.dscal",
  );
  const second = await ds(argv, home);
  assert.doesNotMatch(second.err, /quick/);
  assert.equal(second.out, first.out);
});

test("run stays dense and calibrates nothing when told nothing of attention and the text is short", async () => {
  const short = { home: pathOf("short-home") };
  const modeOf = async (...flags: string[]) => {
    const argv = ["run", STORY, ...TINY, "--max-tokens", "3", ...flags];
    return (await dsJson<{ attention: { mode: string } }>(argv, short)).attention.mode;
  };
  assert.equal(await modeOf(), "dense");
  assert.equal(await modeOf("--dense-below", "4"), "double-sparsity");
});

test("run calibrates without keeping it when the cache cannot be written", async () => {
  writeFileSync(pathOf("no-folder"), "");
  const argv = ["run", STORY, ...TINY, "--sparsity", "1/16", "--max-tokens", "3"];
  const found = await ds(argv, { home: pathOf("no-folder/home") });
  assert.equal(found.code, 0, found.err);
  assert.match(found.err, /will not be kept: Cannot write .*; set DS_HOME/);
});

test("run streams text alone to stdout and one line of figures to stderr", async () => {
  const { code, out, err } = await ds(["run", STORY, ...TINY, "--attention", "dense", "--max-tokens", "12"]);
  assert.equal(code, 0);
  assert.match(out, /^, there was a little girl named.*\n$/);
  assert.match(err, /^5 \+ 12 tokens \(max-tokens\) · first after .* tokens\/s · KV read per token .*\n$/);
});

test("run takes its prompt from the argument, a file, both, stdin and token ids", async () => {
  writeFileSync(pathOf("once.txt"), "\ufeffOnce upon");
  writeFileSync(pathOf("ids.json"), JSON.stringify(PROMPT_IDS));
  const ids = async (argv: string[], stdin: string | null = null) =>
    (await dsJson(["run", ...argv, ...TINY, "--attention", "dense", "--max-tokens", "2"], { stdin }))
      .promptTokenIds;
  assert.deepEqual(await ids([], `${STORY}\n`), PROMPT_IDS);
  assert.deepEqual(await ids(["-"], STORY), PROMPT_IDS);
  assert.deepEqual(await ids(["--file", "-"], STORY), PROMPT_IDS);
  assert.deepEqual(await ids(["--token-ids", pathOf("ids.json")]), PROMPT_IDS);
  assert.deepEqual(await ids(["--token-ids", "-"], JSON.stringify(PROMPT_IDS)), PROMPT_IDS);
  const both = await ids(["--file", pathOf("once.txt"), "a time"]);
  assert.deepEqual(both, await ids(["Once upon\na time"]));
});

test("run refuses prompts it cannot use, each with its exit code", async () => {
  writeFileSync(pathOf("latin.txt"), Uint8Array.of(0x61, 0xff, 0x62));
  writeFileSync(pathOf("bad-ids.json"), "[1, -2]");
  writeFileSync(pathOf("foreign-ids.json"), "[1, 512]");
  const cases: [string[], string | Uint8Array | null, number, RegExp][] = [
    [[], null, 2, /without a prompt/],
    [[""], null, 2, /empty prompt/],
    [[], "", 2, /empty prompt/],
    [["-"], Uint8Array.of(0xc3, 0x28), 65, /stdin: it is not UTF-8/],
    [["--file", pathOf("nothing.txt")], null, 66, /no such file/],
    [["--file", FOLDER], null, 65, /it is a folder/],
    [["--file", pathOf("latin.txt")], null, 65, /not UTF-8/],
    [["--token-ids", pathOf("bad-ids.json")], null, 65, /found -2 at place 1/],
    [["--token-ids", pathOf("foreign-ids.json")], null, 2, /ids are 0 to 511/],
    [["--token-ids", pathOf("latin.txt"), "hi"], null, 2, /beside a prompt/],
    [["--file", "-", "-"], "x", 2, /stdin twice/],
    [["a ".repeat(600)], null, 2, /prompt of \d+ tokens: the context of 512/],
    [["hello", "--context", "1k"], null, 2, /context of 1024 tokens: stories260k was made for 512/],
    [["hello there", "--context", "3"], null, 2, /raise --context/],
    [["hello", "--chat"], null, 2, /no chat template/],
    [["hello", "--chat", "--raw"], null, 2, /opposites/],
    [["hello", "--offload"], null, 2, /this version does not have it/],
    [["hello", "--compare", "--attention", "dense"], null, 2, /dense with dense/],
    [["hello", "--labels", "16x4"], null, 2, /label/i],
    [["hello", "--threads", "1"], null, 2, /--threads 1 with backend reference: only cpu takes/],
    [["hello", "--model", pathOf("no-model")], null, 66, /Cannot find the model/],
  ];
  for (const [argv, stdin, code, message] of cases) {
    const found = await ds(["run", ...(argv.includes("--model") ? [] : TINY), ...argv], { stdin });
    assert.equal(found.code, code, `${argv.join(" ").slice(0, 60)}: ${found.err}`);
    assert.match(found.err, message);
    assert.equal(found.out, "");
    assert.doesNotMatch(found.err, /\n\s+at /);
  }
});

test("run repeats itself when the seed is the same, and not when it differs", async () => {
  const text = async (seed: string) =>
    (await dsJson(["run", STORY, ...TINY, "--temperature", "1", "--seed", seed, "--max-tokens", "20"])).text;
  assert.equal(await text("7"), await text("7"));
  assert.notEqual(await text("7"), await text("8"));
});

test("run ends before a stop text, which is not shown", async () => {
  const found = await dsJson([
    "run",
    STORY,
    ...TINY,
    "--attention",
    "dense",
    "--stop",
    " little",
    "--stop",
    "zzz",
  ]);
  assert.equal(found.stopReason, "stop-string");
  assert.equal(found.text, ", there was a");
});

test("run reads fewer tokens when --heavy-tokens says so, whatever --sparsity says", async () => {
  const prompt = "Lily and Tom went to the park to play. ".repeat(8);
  const argv = ["run", prompt, ...TINY, "--max-tokens", "4", "--even-budgets"];
  const heavy = await dsJson([...argv, "--heavy-tokens", "40", "--sparsity", "1"]);
  const figures = heavy.attention as Record<string, number>;
  assert.equal(figures.heavyTokens, 40);
  assert.equal(figures.sparsity, null);
  assert.ok(figures.kvBytesPerToken! < figures.denseKvBytesPerToken!);
  const all = (await dsJson([...argv, "--sparsity", "1"])).attention as Record<string, number>;
  assert.equal(all.denseFallbackSteps, 3);
  assert.equal(all.kvBytesPerToken, all.denseKvBytesPerToken);
});

test("run --compare gives dense and sparse from one prefill", async () => {
  const prompt = "Lily and Tom went to the park to play. ".repeat(8);
  const argv = ["run", prompt, ...TINY, "--compare", "--max-tokens", "8"];
  const found = await dsJson(argv);
  const dense = found.dense as Record<string, unknown>;
  const sparse = found.sparse as Record<string, unknown>;
  const alone = await dsJson(["run", prompt, ...TINY, "--attention", "dense", "--max-tokens", "8"]);
  assert.deepEqual(dense.tokenIds, alone.tokenIds);
  assert.equal((dense.attention as Record<string, unknown>).mode, "dense");
  assert.equal((sparse.attention as Record<string, unknown>).mode, "double-sparsity");
  assert.ok((found.top1Agreement as number) > 0.5);
  const shown = await ds(argv);
  assert.match(
    shown.out,
    /^== dense ==\n[\s\S]*\n== double-sparsity ==\n[\s\S]*tokens\/s[\s\S]*KV read per token[\s\S]*top-1 agreement/,
  );
});

test("run stops cleanly and shows what there is when Ctrl-C comes", async () => {
  const argv = ["run", STORY, ...TINY, "--attention", "dense", "--max-tokens", "400"];
  const found = await ds(argv, { interrupt: { name: "SIGINT", afterCharacters: 20 } });
  assert.equal(found.code, 130);
  assert.match(found.out, /^, there was a little.*\n$/s);
  assert.match(found.err, /\(aborted\)/);
  assert.ok(found.out.length < 60);
  const terminated = await ds(argv, { interrupt: { name: "SIGTERM", afterCharacters: 1 } });
  assert.equal(terminated.code, 143);
});

test("run shows how fast it reads a prompt, and stops within a chunk of it when Ctrl-C comes", async () => {
  const prompt = "Lily and Tom went to the park to play. ".repeat(33);
  const argv = ["run", prompt, ...TINY, "--attention", "dense", "--max-tokens", "2"];
  const found = await ds(argv, {
    stderrIsTty: true,
    interrupt: { name: "SIGINT", onceShown: /Reading the prompt \[#/ },
  });
  assert.equal(found.code, 130, found.err);
  assert.equal(found.out, "");
  const shown = [...found.err.matchAll(/Reading the prompt \[[# ]+\] +(\d+) %/g)].map(([, share]) =>
    Number(share)
  );
  assert.ok(shown.length >= 1 && shown.at(-1)! < 100, found.err);
  assert.doesNotMatch(found.err, /tokens \(/);
});

test("run ends quietly when nothing reads stdout, and with 74 when the disk is full", async () => {
  const argv = ["run", STORY, ...TINY, "--attention", "dense", "--max-tokens", "400"];
  assert.deepEqual(await ds(argv, { stdoutFailure: "EPIPE" }), { code: 0, out: "", err: "" });
  const full = await ds(argv, { stdoutFailure: "ENOSPC" });
  assert.equal(full.code, 74);
  assert.match(full.err, /Cannot write to stdout: ENOSPC/);
});

test("run draws progress on a terminal alone", async () => {
  const argv = ["run", STORY, ...TINY, "--attention", "dense", "--max-tokens", "2"];
  // deno-lint-ignore no-control-regex
  assert.match((await ds(argv, { stderrIsTty: true })).err, /\r.*\x1b\[K/);
  assert.doesNotMatch((await ds(argv)).err, /\r/);
  assert.doesNotMatch((await ds(argv, { stderrIsTty: true, environment: { TERM: "dumb" } })).err, /\r/);
});

test("run uses the embedded model, and says so, when the default one cannot be had", async () => {
  assert.equal(existsSync(join(FOLDER, "home", "cache", "models")), false);
  const found = await ds(["run", STORY, "--attention", "dense", "--max-tokens", "2", "--json"]);
  assert.equal(found.code, 0, found.err);
  assert.equal(JSON.parse(found.out).model, "stories260k");
  assert.match(
    found.err,
    /^smollm2-135m is not here and cannot be had, so the tiny stories260k is used: .*\n$/,
  );
  const asked = await ds(["run", STORY, "--model", "smollm2-135m"]);
  assert.equal(asked.code, 66);
  assert.match(asked.err, /ds pull smollm2-135m/);
});

test("run gives the known greedy ids of a model without a tokenizer when token ids are its prompt", async (t) => {
  const name = "golden/families/llama-gqa";
  const folder = sharedPath(name);
  if (folder === null) return skip(t, missingShared(name));
  const golden = sharedJson(`${name}/golden.json`);
  writeFileSync(pathOf("golden-ids.json"), JSON.stringify(golden.inputIds));
  const argv = [
    "run",
    "--model",
    folder,
    "--token-ids",
    pathOf("golden-ids.json"),
    "--sparsity",
    "1/16",
    "--max-tokens",
    "24",
  ];
  const found = await ds([...argv, "--json"]);
  assert.equal(found.code, 0, found.err);
  assert.match(found.err, /runs with dense attention: it has no calibration, and no tokenizer/);
  const { text, tokenIds } = JSON.parse(found.out);
  assert.equal(text, null);
  assert.deepEqual(tokenIds, golden.greedy);
  const asked = await ds([...argv, "--attention", "double-sparsity"]);
  assert.equal(asked.code, 2);
  assert.match(asked.err, /--calibration, or use --attention dense/);
  assert.equal((await ds(["run", "text", "--model", folder])).code, 2);
});
