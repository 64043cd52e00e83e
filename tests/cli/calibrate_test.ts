import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { ds, dsJson, FOLDER, pathOf, TINY } from "./fake_process.ts";

const QUICK = [...TINY, "--block", "128", "--tokens", "128"];

const sentences = [
  "Lily saw a big red ball in the park. ",
  "Tom was sad. ",
  "The dog ran to the tree and sat. ",
  "Mom said yes. ",
];
const corpus = pathOf("corpus.txt");
writeFileSync(corpus, Array.from({ length: 120 }, (_, i) => sentences[(i * i + i) % 4]).join(""));

test("calibrate writes the artifact and gives the documented JSON fields", async () => {
  const out = pathOf("full.dscal");
  const found = await dsJson(["calibrate", ...QUICK, "--corpus", corpus, "--out", out]);
  assert.equal(found.path, out);
  assert.equal(found.tokens, 128);
  assert.deepEqual(found.denseLayers, []);
  assert.equal((found.layerRecall as number[]).length, 5);
  assert.ok((found.layerRecall as number[]).every((recall) => recall > 0.3 && recall <= 1));
  const bytes = readFileSync(out);
  assert.equal(found.bytes, bytes.length);
  assert.equal(found.sha256, createHash("sha256").update(bytes).digest("hex"));
  assert.deepEqual(readdirSync(FOLDER).filter((name) => /lock|tmp/.test(name)), []);
});

test("calibrate writes the same bytes when everything is the same, others when the seed differs", async () => {
  const make = async (name: string, seed: string) => {
    const argv = [
      "calibrate",
      ...QUICK,
      "--corpus",
      corpus,
      "--quick",
      "--seed",
      seed,
      "--out",
      pathOf(name),
    ];
    return (await dsJson(argv)).sha256;
  };
  assert.equal(await make("a.dscal", "0"), await make("b.dscal", "0"));
  assert.notEqual(await make("a.dscal", "0"), await make("c.dscal", "5"));
});

test("run uses the calibration it is given and refuses another model's with 76", async () => {
  const own = pathOf("own.dscal");
  await dsJson(["calibrate", ...QUICK, "--corpus", corpus, "--quick", "--out", own]);
  const done = await ds(["run", "Once", ...TINY, "--calibration", own, "--max-tokens", "2"]);
  assert.equal(done.code, 0, done.err);
  assert.doesNotMatch(done.err, /quick/);
  // The same shape under another name.
  const model = readFileSync(new URL("../../runtime/embedded/stories260K.bin", import.meta.url));
  model[400]! ^= 1;
  mkdirSync(pathOf("other"), { recursive: true });
  writeFileSync(pathOf("other/model.bin"), model);
  writeFileSync(
    pathOf("other/tok512.bin"),
    readFileSync(new URL("../../runtime/embedded/tok512.bin", import.meta.url)),
  );
  const refused = await ds(["run", "Once", "--model", pathOf("other/model.bin"), "--calibration", own]);
  assert.equal(refused.code, 76, refused.err);
  assert.match(refused.err, /was made for llama .* and the model is llama /);
});

test("export and --import give published rankings back", async () => {
  const [source, config, back] = [pathOf("source.dscal"), pathOf("config.json"), pathOf("back.dscal")];
  await dsJson(["calibrate", ...QUICK, "--corpus", corpus, "--quick", "--out", source]);
  const exported = await dsJson(["export", source, "--out", config]);
  assert.equal(exported.path, config);
  assert.equal((await ds(["export", source])).out, `${readFileSync(config, "utf8")}\n`);
  const found = await dsJson(["calibrate", "--import", config, "--kv-heads", "4", "--out", back]);
  assert.equal(found.model, null);
  assert.equal(found.tokens, 0);
  assert.deepEqual((await dsJson(["inspect", back])).rankings, ["qk", "q", "k", "qPerHead", "qkPerHead"]);
  const again = pathOf("config2.json");
  await dsJson(["export", back, "--out", again]);
  assert.equal(readFileSync(again, "utf8"), readFileSync(config, "utf8"));
  const paper = await ds([
    "run",
    "Once",
    ...TINY,
    "--attention",
    "paper",
    "--calibration",
    back,
    "--max-tokens",
    "2",
  ]);
  assert.equal(paper.code, 0, paper.err);
  const labels = await ds(["run", "Once", ...TINY, "--calibration", back]);
  assert.equal(labels.code, 66);
  assert.match(labels.err, /ds calibrate/);
  const measured = pathOf("measured.dscal");
  await dsJson(["calibrate", "--import", config, ...QUICK, "--corpus", corpus, "--quick", "--out", measured]);
  const done = await ds(["run", "Once", ...TINY, "--calibration", measured, "--max-tokens", "2"]);
  assert.equal(done.code, 0, done.err);
});

test("calibrate refuses, before any work, what cannot come to a file", async () => {
  const started = performance.now();
  const missing = await ds(["calibrate", ...TINY, "--out", pathOf("no/such/folder/x.dscal")]);
  assert.equal(missing.code, 73, missing.err);
  assert.equal((await ds(["calibrate", ...TINY, "--out", FOLDER])).code, 73);
  assert.ok(performance.now() - started < 2000);
  const out = ["--out", pathOf("never.dscal")];
  const cases: [string[], number, RegExp][] = [
    [[...TINY, "--block", "128", "--corpus", pathOf("absent.txt")], 66, /no such file/],
    [[...TINY, "--block", "1k"], 2, /was made for 512/],
    [[...TINY, "--kv-heads", "4"], 2, /without --import/],
    [["--import", corpus, "--kv-heads", "4"], 65, /corpus.txt/],
    [["--import", pathOf("config.json")], 2, /--kv-heads or --model/],
    [["--import", pathOf("config.json"), "--corpus", corpus], 2, /give --model/],
    [["--import", pathOf("config.json"), "--kv-heads", "2", ...TINY], 65, /KV|kv|heads/],
  ];
  for (const [argv, code, message] of cases) {
    const found = await ds(["calibrate", ...argv, ...out]);
    assert.equal(found.code, code, `${argv.join(" ")}: ${found.err}`);
    assert.match(found.err, message);
  }
  writeFileSync(pathOf("short.txt"), "Too short.");
  const short = await ds(["calibrate", ...QUICK, "--corpus", pathOf("short.txt"), ...out]);
  assert.equal(short.code, 65, short.err);
  assert.match(short.err, /it has \d+ tokens, one block needs 128/);
  assert.equal(existsSync(pathOf("never.dscal")), false);
});

test("calibrate waits for nobody when its target is locked", async () => {
  const out = pathOf("locked.dscal");
  // A fresh lock that tells no owner counts as held for some seconds.
  writeFileSync(`${out}.lock`, "");
  const found = await ds(["calibrate", ...QUICK, "--quick", "--out", out]);
  assert.equal(found.code, 75, found.err);
  assert.equal(existsSync(out), false);
});

test("calibrate leaves nothing behind when Ctrl-C comes in the middle", async () => {
  const before = readdirSync(FOLDER).sort();
  const argv = ["calibrate", ...TINY, "--block", "500", "--tokens", "2k", "--out", pathOf("stopped.dscal")];
  const found = await ds(argv, { interrupt: { name: "SIGINT", afterMs: 150 } });
  assert.deepEqual(found, { code: 130, out: "", err: "" });
  assert.deepEqual(readdirSync(FOLDER).sort(), before);
});
