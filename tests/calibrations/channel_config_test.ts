import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeCalibration, encodeCalibration } from "../../calibrations/artifact.ts";
import type { Calibration } from "../../calibrations/calibration.ts";
import { bestStatistic } from "../../calibrations/calibration.ts";
import { exportChannelConfig, importChannelConfig } from "../../calibrations/channel_config.ts";
import { combineRankings, repeatRankings } from "../../calibrations/ranking.ts";
import { DsError } from "../../core/errors.ts";
import { permutations, sampleCalibration, seeded } from "./sample.ts";
import { skip } from "../support/skip.ts";

type Rows = number[][];
type Config = Record<string, Rows>;
const KINDS = ["q_proj", "k_proj", "qk_proj"];

function options(numKvHeads: number) {
  return { numKvHeads, toolVersion: "0.1.0" };
}

function rows(seed: number, heads: number, headDim = 8): Rows {
  const flat = [...permutations(seeded(seed), heads, headDim)];
  return Array.from({ length: heads }, (_, head) => flat.slice(head * headDim, (head + 1) * headDim));
}

/** As an exporter writes it: 2 layers, 4 query heads, 2 KV heads, d 8, and projections that ds has no use for. */
function config(kinds: readonly string[] = KINDS): Config {
  const made: Config = {};
  for (let layer = 0; layer < 2; layer++) {
    const at = `model.layers.${layer}.self_attn`;
    for (const kind of kinds) {
      made[`${at}.${kind}`] = rows(layer * 3 + KINDS.indexOf(kind), kind === "k_proj" ? 2 : 4);
    }
    made[`${at}.v_proj`] = rows(9, 2);
    made[`${at}.o_proj`] = rows(9, 1, 32);
    made[`model.layers.${layer}.mlp.down_proj`] = [Array.from({ length: 11008 }, (_, c) => 11007 - c)];
  }
  return made;
}

function rankingEntries(made: Config): Config {
  return Object.fromEntries(
    Object.entries(made).filter(([key]) => KINDS.some((kind) => key.endsWith(`self_attn.${kind}`))),
  );
}

function refused(text: string, reason: RegExp, numKvHeads = 2): void {
  assert.throws(() => importChannelConfig(text, "c.json", options(numKvHeads)), (error: unknown) => {
    assert.ok(error instanceof DsError && error.kind === "bad-data", String(error));
    assert.match(error.message, /^Cannot read c\.json: [\x20-\x7e]+$/);
    assert.match(error.message, reason);
    return true;
  });
}

test("importChannelConfig() keeps every ranking and combines those of a group", () => {
  const made = config();
  const calibration = importChannelConfig(JSON.stringify(made), "c.json", options(2));
  const { numLayers, numHeads, numKvHeads, headDim, family } = calibration.model;
  assert.deepEqual([numLayers, numHeads, numKvHeads, headDim, family], [2, 4, 2, 8, null]);
  const flat = (kind: string) =>
    [0, 1].flatMap((layer) => made[`model.layers.${layer}.self_attn.${kind}`].flat());
  const data = (statistic: never) => [...calibration.rankings.get(statistic)!.data];
  assert.deepEqual(data("k" as never), flat("k_proj"));
  assert.deepEqual(data("qPerHead" as never), flat("q_proj"));
  assert.deepEqual(data("qkPerHead" as never), flat("qk_proj"));
  assert.deepEqual(data("qk" as never), [...combineRankings(Uint8Array.from(flat("qk_proj")), 2, 8)]);
  assert.deepEqual(data("q" as never), [...combineRankings(Uint8Array.from(flat("q_proj")), 2, 8)]);
  assert.equal(calibration.rankings.has("qk2"), false);
  assert.equal(bestStatistic(calibration), "qk");
  assert.deepEqual([...calibration.budgets], [1, 1, 1, 1]);
});

test("exportChannelConfig() gives back what was imported, through an artifact too", async () => {
  for (const kinds of [KINDS, ["q_proj", "qk_proj"], ["q_proj"], ["qk_proj", "k_proj"]]) {
    const made = config(kinds);
    const calibration = importChannelConfig(JSON.stringify(made, null, 1), "c.json", options(2));
    assert.deepEqual(JSON.parse(exportChannelConfig(calibration)), rankingEntries(made));
    const stored = await decodeCalibration(await encodeCalibration(calibration), "x.dscal");
    assert.equal(exportChannelConfig(stored), exportChannelConfig(calibration));
  }
});

test("importChannelConfig() takes k rankings that the exporter repeated per query head", () => {
  const made = config();
  const repeated: Config = {};
  for (const [key, value] of Object.entries(made)) {
    repeated[key] = key.endsWith("self_attn.k_proj") ? value.flatMap((row) => [row, row]) : value;
  }
  const [plain, again] = [made, repeated].map((c) =>
    importChannelConfig(JSON.stringify(c), "c.json", options(2))
  );
  assert.deepEqual(again, plain);
  refused(JSON.stringify({ ...made, "model.layers.1.self_attn.k_proj": rows(5, 4) }), /k_proj/);
  const unlike = { ...repeated, "model.layers.1.self_attn.k_proj": rows(5, 4) };
  refused(JSON.stringify(unlike), /k_proj has 4 heads of their own, not 2: .*--kv-heads/);
  refused(JSON.stringify(made), /k_proj has 2 heads of their own, not 4/, 4);
  refused(JSON.stringify(made), /numKvHeads must divide the 4 heads: found 3/, 3);
});

test("exportChannelConfig() exports a calibration of ours with every published kind", () => {
  const whole = sampleCalibration(1);
  const without = {
    ...whole,
    rankings: new Map([...whole.rankings].filter(([name]) => name !== "qPerHead")),
  };
  const exported = JSON.parse(exportChannelConfig(without)) as Config;
  assert.deepEqual(
    Object.keys(exported).slice(0, 3),
    KINDS.map((kind) => `model.layers.0.self_attn.${kind}`),
  );
  assert.equal(Object.keys(exported).length, 9);
  const shared = [...repeatRankings(whole.rankings.get("q")!.data, 2, 8).subarray(0, 32)];
  assert.deepEqual(exported["model.layers.0.self_attn.q_proj"].flat(), shared);
  const back = importChannelConfig(JSON.stringify(exported), "c.json", options(2));
  for (const statistic of ["q", "k", "qkPerHead"] as const) {
    assert.deepEqual(back.rankings.get(statistic), whole.rankings.get(statistic));
  }
  const only: Calibration = { ...whole, rankings: new Map([["qk2", whole.rankings.get("qk2")!]]) };
  assert.throws(
    () => exportChannelConfig(only),
    (error: unknown) => error instanceof DsError && error.kind === "usage",
  );
});

test("importChannelConfig() refuses configs that are incomplete or no rankings", () => {
  const at = (layer: number | string, kind = "qk_proj") => `model.layers.${layer}.self_attn.${kind}`;
  const q = rows(1, 4);
  const one = (change: (row: number[]) => number[]): string =>
    JSON.stringify({ [at(0)]: [...q.slice(1), change(q[0])] });
  const cases: [string, RegExp][] = [
    ["{}", /q_proj or self_attn\.qk_proj/],
    [JSON.stringify({ [at(0, "k_proj")]: rows(1, 2) }), /to tell its query heads/],
    [JSON.stringify({ [at(0)]: q, [at(2)]: q }), /layer 1 is missing/],
    [JSON.stringify({ [at(1)]: q }), /layer 0 is missing/],
    [JSON.stringify({ [at(9999)]: q }), /layer 0 is missing/],
    [JSON.stringify({ [at(0)]: q, [at(1)]: q, [at(0, "q_proj")]: q }), /q_proj of every layer.*: layer 1/],
    [JSON.stringify({ [at(0)]: q, [at(1)]: rows(1, 2) }), /of layer 1 must have 4 heads of 8.*found 2 heads/],
    [JSON.stringify({ [at(0)]: q, [at(1)]: rows(1, 4, 16) }), /of layer 1 must have .*heads of 16/],
    [JSON.stringify({ [at(0)]: rows(1, 2), [at(0, "q_proj")]: q }), /qk_proj must have 4 heads/],
    [JSON.stringify({ [at("00")]: q }), /not of the form/],
    [JSON.stringify({ [at(10000)]: q }), /not of the form/],
    [JSON.stringify({ "model.layers.3.cross_attn.q_proj": q }), /not of the form/],
    [JSON.stringify({ "vision.model.layers.0.self_attn.qk_proj": q }), /not of the form/],
    [`{"\u001b[31m\u202e.k_proj": [[1, 0]]}`, /entry "\\u001b\[31m\\u202e\.k_proj" is not/],
    ['{"__proto__": [[0]]}', /q_proj or self_attn\.qk_proj/],
    [JSON.stringify({ [at(0)]: [] }), /rows of one length/],
    [JSON.stringify({ [at(0)]: [[], []] }), /rows of one length/],
    [JSON.stringify({ [at(0)]: rows(1, 4, 3) }), /headDim must be even/],
    [JSON.stringify({ [at(0)]: [Array.from({ length: 257 }, (_, c) => c)] }), /in 1\.\.256/],
    [one((row) => row.slice(1)), /rows of one length/],
    [one((row) => [row[1], ...row.slice(1)]), /order channels 0\.\.7: row 3 does not/],
    [one((row) => row.map((c) => c === 7 ? 8 : c)), /row 3 does not/],
    [one((row) => row.map((c) => c === 7 ? 263 : c)), /row 3 does not/],
    [one((row) => row.map((c) => c === 7 ? 65535 : c)), /row 3 does not/],
    [one((row) => row.map((c) => c === 7 ? 65536 : c)), /a channel/],
    [one((row) => row.map((c) => c === 7 ? 7.5 : c)), /at character \d+ it must have/],
    [one((row) => row.map((c) => c === 7 ? -7 : c)), /a channel .* found "-"/],
    [one((row) => row.map((c) => c === 7 ? null as never : c)), /a channel .* found "n"/],
    [`{"${at(0)}": [[0, 01]]}`, /a channel/],
    [`{"${at(0)}": [[0, 1e1]]}`, /found "e"/],
    [`{"${at(0)}": [[0, 1],]}`, /at character/],
    [`{"${at(0)}": [[1, 0]], "${at(0)}": [[0, 1]]}`, /twice/],
    [`{"${at(0)}": [[1, 0]]} x`, /its end: found "x"/],
    [`{"${at(0)}": [[[1, 0]]]}`, /a channel .* found "\["/],
    [`{"model.layers.\\u0030.self_attn.qk_proj": [[1, 0]]}`, /plain name/],
    ["", /found its end/],
    ["[]", /"\{": found "\["/],
    ["\ufeff{}", /found "\\ufeff"/],
  ];
  for (const [text, reason] of cases) refused(text, reason);
});

test("importChannelConfig() refuses bombs at once", () => {
  const key = '{"model.layers.0.self_attn.qk_proj": ';
  const bombs = [
    "[".repeat(10_000_000),
    key + "[".repeat(10_000_000),
    key + "[[]" + ",[]".repeat(5_000_000),
    key + "[[0" + ",0".repeat(5_000_000),
    key + "[[" + "1".repeat(10_000_000),
    '{"' + "a".repeat(10_000_000),
    " ".repeat(33 * 2 ** 20),
    `{${Array.from({ length: 20000 }, (_, i) => `"model.layers.0.x.p${i}": []`).join(",")}}`,
  ];
  for (const bomb of bombs) {
    const start = performance.now();
    refused(bomb, /./);
    assert.ok(performance.now() - start < 2000, `${bomb.slice(0, 60)} took ${performance.now() - start} ms`);
  }
});

test("importChannelConfig() refuses every truncated prefix and survives mutants", () => {
  const made = rankingEntries(config());
  const text = JSON.stringify(made);
  for (let length = 0; length < text.length; length++) refused(text.slice(0, length), /./);
  const random = seeded(5);
  const alphabet = '0123456789[]{},:" .-eq_proj';
  let accepted = 0;
  for (let round = 0; round < 5000; round++) {
    const at = Math.floor(text.length * random());
    const put = alphabet[Math.floor(alphabet.length * random())];
    const mutant = text.slice(0, at) + put + text.slice(at + Math.floor(2 * random()));
    try {
      exportChannelConfig(importChannelConfig(mutant, "c.json", options(2)));
      accepted++;
    } catch (error) {
      if (!(error instanceof DsError && error.kind === "bad-data")) throw error;
    }
  }
  assert.ok(accepted > 10 && accepted < 1000, `${accepted} mutants were valid`);
});

const PUBLISHED: [string, number, readonly string[]][] = [
  ["Llama-2-7b-hf.json", 32, KINDS],
  ["Llama-3.1-8B.json", 8, KINDS],
  ["Mistral-7B-v0.1.json", 8, ["q_proj", "qk_proj"]],
  ["Mixtral-8x7B-v0.1.json", 8, KINDS],
];
for (const [name, numKvHeads, kinds] of PUBLISHED) {
  test(`importChannelConfig() and exportChannelConfig() keep the published ${name}`, async (t) => {
    const path = fileURLToPath(
      new URL(`../../../shared/data/upstream-channel-configs/${name}`, import.meta.url),
    );
    if (!existsSync(path)) return skip(t, `needs ../shared/data/upstream-channel-configs/${name}: not here`);
    const text = readFileSync(path, "utf8");
    const calibration = importChannelConfig(text, name, options(numKvHeads));
    assert.deepEqual({ ...calibration.model }, {
      family: null,
      fingerprint: null,
      numLayers: 32,
      numHeads: 32,
      numKvHeads,
      headDim: 128,
      rope: null,
    });
    const published = rankingEntries(JSON.parse(text));
    assert.equal(Object.keys(published).length, 32 * kinds.length);
    const exported = exportChannelConfig(calibration);
    assert.deepEqual(JSON.parse(exported), published);
    // Files that hold nothing else come back byte for byte.
    if (Object.keys(JSON.parse(text)).length === Object.keys(published).length) assert.equal(exported, text);
    const artifact = await encodeCalibration(calibration);
    assert.equal(exportChannelConfig(await decodeCalibration(artifact, name)), exported);
  });
}
