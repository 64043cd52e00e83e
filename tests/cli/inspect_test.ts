import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { VERSION } from "../../core/version.ts";
import { ds, dsJson, pathOf, TINY } from "./fake_process.ts";

const embedded = (name: string) => fileURLToPath(new URL(`../../runtime/embedded/${name}`, import.meta.url));

test("inspect tells what a model is", async () => {
  const found = await dsJson(["inspect", "stories260k"]);
  const { kind, format, numLayers, numHeads, numKvHeads, headDim, vocabSize, contextLength, parameters } =
    found;
  assert.deepEqual([kind, format], ["model", "llama2c"]);
  assert.deepEqual([numLayers, numHeads, numKvHeads, headDim, vocabSize, contextLength], [
    5,
    8,
    4,
    8,
    512,
    512,
  ]);
  assert.equal(parameters, 260_032);
  assert.match(found.fingerprint as string, /^[0-9a-f]{64}$/);
  const file = await dsJson(["inspect", embedded("stories260K.bin")]);
  assert.equal(file.fingerprint, found.fingerprint);
  assert.match((await ds(["inspect", "stories260k"])).out, /^model +embedded:/);
});

test("inspect looks at every weight", async () => {
  const bytes = readFileSync(embedded("stories260K.bin"));
  new DataView(bytes.buffer, bytes.byteOffset).setFloat32(28 + 4 * 5000, NaN, true);
  writeFileSync(pathOf("nan.bin"), bytes);
  const found = await ds(["inspect", pathOf("nan.bin")]);
  assert.equal(found.code, 65, found.err);
  assert.match(found.err, /weight 5000 of tensor embedding is not a finite number/);
});

test("inspect tells what a tokenizer is", async () => {
  const found = await dsJson(["inspect", embedded("tok512.bin")]);
  assert.deepEqual([found.kind, found.format, found.vocabSize, found.bosTokenId], [
    "tokenizer",
    "llama2c",
    512,
    1,
  ]);
});

test("inspect tells what a calibration is, layer by layer", async () => {
  const path = pathOf("inspected.dscal");
  await dsJson(["calibrate", ...TINY, "--block", "128", "--tokens", "128", "--out", path]);
  const found = await dsJson(["inspect", path]);
  assert.equal(found.kind, "calibration");
  assert.equal((found.model as Record<string, unknown>).family, "llama");
  assert.equal((found.corpus as Record<string, unknown>).tokens, 128);
  assert.equal(found.toolVersion, VERSION);
  const layers = found.layers as Record<string, number[]>[];
  assert.deepEqual(layers.map(({ budgets }) => budgets!.length), [4, 4, 4, 4, 4]);
  assert.match((await ds(["inspect", path])).out, /layer +recall +prediction +KL of heads +budgets\n +0 /);
  await dsJson(["export", path, "--out", pathOf("inspected.json")]);
  const config = await dsJson(["inspect", pathOf("inspected.json")]);
  assert.deepEqual(config.rankings, ["q_proj", "k_proj", "qk_proj"]);
  assert.equal(config.kind, "channel-config");
  assert.equal(config.numKvHeads, 4);
});

test("inspect refuses damaged and absent things, each with its code", async () => {
  const path = pathOf("damaged.dscal");
  await dsJson(["calibrate", ...TINY, "--block", "64", "--tokens", "64", "--quick", "--out", path]);
  const bytes = readFileSync(path);
  bytes[bytes.length - 9]! ^= 4;
  writeFileSync(path, bytes);
  writeFileSync(pathOf("cut.dscal"), bytes.subarray(0, 20));
  writeFileSync(pathOf("empty.dscal"), "");
  writeFileSync(pathOf("deep.json"), "[".repeat(100_000));
  writeFileSync(pathOf("object.json"), '{"model.layers.0.self_attn.q_proj": [[0, 0]]}');
  writeFileSync(pathOf("noise.bin"), Uint8Array.from({ length: 4000 }, (_, i) => (i * 7919) % 251));
  const cases: [string, number][] = [
    [path, 65],
    [pathOf("cut.dscal"), 65],
    [pathOf("empty.dscal"), 65],
    [pathOf("deep.json"), 65],
    [pathOf("object.json"), 65],
    [pathOf("noise.bin"), 65],
    [pathOf("absent.dscal"), 66],
    ["org/absent", 66],
    ["-", 2],
  ];
  for (const [target, code] of cases) {
    const found = await ds(["inspect", target]);
    assert.equal(found.code, code, `${target}: ${found.err}`);
    assert.match(found.err, /^ds: [^\n]+\n$/);
  }
});

test("plan tells memory from headers, and it grows as it must", async () => {
  const plan = async (...argv: string[]) =>
    await dsJson(["plan", ...TINY, ...argv]) as Record<string, number>;
  const one = await plan("--context", "256", "--kv-dtype", "f32");
  const two = await plan("--context", "512", "--kv-dtype", "f32");
  // L · Hk · tokens · K and V · d · 4 bytes
  assert.equal(one.kvBytes, 5 * 4 * 256 * 2 * 8 * 4);
  assert.equal(two.kvBytes, 2 * one.kvBytes!);
  assert.equal(
    (await plan("--context", "256", "--batch", "3")).kvBytes,
    3 * (await plan("--context", "256")).kvBytes!,
  );
  assert.equal(two.totalBytes, two.weightBytes! + two.kvBytes! + two.labelBytes! + two.workspaceBytes!);
  assert.ok(two.sparseKvBytesPerToken! < two.denseKvBytesPerToken! / 3);
  assert.equal((two as Record<string, unknown>).fits, true);
  assert.match((await ds(["plan", ...TINY])).out, /fits: /);
});

test("doctor names every backend with a device or a reason, and tests those that work", async () => {
  const found = await dsJson(["doctor"]);
  const backends = found.backends as {
    name: string;
    available: boolean;
    device: string;
    reason: string;
    selfTest: string;
  }[];
  assert.deepEqual(backends.map(({ name }) => name).sort(), ["cpu", "cuda", "reference", "webgpu"]);
  for (const { available, device, reason, selfTest } of backends) {
    assert.equal(typeof (available ? device : reason), "string");
    assert.equal(selfTest, available ? "passed" : null);
  }
  assert.equal(backends.find(({ name }) => name === "reference")!.available, true);
  assert.match(found.runtime as string, /^(Node|Bun|Deno) /);
  assert.ok((found.copyGigabytesPerSecond as number) > 0);
});

test("pull says that the embedded model needs none, and refuses unknown names", async () => {
  const found = await dsJson(["pull", "stories260k"]);
  assert.deepEqual([found.name, found.bytes], ["stories260k", 1_056_540]);
  assert.match(found.sha256 as string, /^b0a507e7/);
  assert.equal((await ds(["pull", "no such model"])).code, 66);
});
