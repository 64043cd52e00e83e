import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import { Packr } from "msgpackr";
import { decodeCalibration, encodeCalibration, MAX_ARTIFACT_BYTES } from "../../calibrations/artifact.ts";
import type { Calibration } from "../../calibrations/calibration.ts";
import { FLOAT_FIELDS, requireRanking, STATISTICS } from "../../calibrations/calibration.ts";
import { DsError } from "../../core/errors.ts";
import { sampleCalibration, seeded } from "./sample.ts";

const BODY_AT = 38;

async function sha256(bytes: Uint8Array<ArrayBuffer>): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

async function hex(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  return [...await sha256(bytes)].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A file around this body with a checksum that is right. */
async function sealed(body: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const file = new Uint8Array(BODY_AT + body.length);
  file.set([..."DSCAL"].map((c) => c.charCodeAt(0)));
  file[5] = 1;
  file.set(body, BODY_AT);
  file.set(await sha256(file.slice(BODY_AT)), 6);
  return file;
}

async function refused(file: Uint8Array, reason?: RegExp): Promise<void> {
  await assert.rejects(decodeCalibration(file, "x.dscal"), (error: unknown) => {
    assert.ok(error instanceof DsError && error.kind === "bad-data", String(error));
    assert.match(error.message, /^Cannot read x\.dscal: [\x20-\x7e]+$/);
    if (reason !== undefined) assert.match(error.message, reason);
    return true;
  });
}

// deno-lint-ignore no-explicit-any -- a test breaks the body at will
type Loose = any;

/** The body of a sample as plain objects, changed and packed again. */
async function changed(
  change: (body: Loose) => void,
  parts: "all" | "rankings" = "all",
): Promise<Uint8Array<ArrayBuffer>> {
  const packr = new Packr({ useRecords: false, variableMapSize: true });
  const body = packr.unpack((await encodeCalibration(sampleCalibration(1, parts))).subarray(BODY_AT));
  change(body);
  return sealed(packr.pack(body));
}

test("decodeCalibration() returns what encodeCalibration() was given", async () => {
  for (const parts of ["all", "rankings"] as const) {
    for (let seed = 0; seed < 5; seed++) {
      const calibration = sampleCalibration(seed, parts);
      const bytes = await encodeCalibration(calibration);
      assert.deepEqual(await decodeCalibration(bytes, "x.dscal"), calibration);
      assert.deepEqual(await decodeCalibration(Buffer.concat([bytes]), "x.dscal"), calibration);
    }
  }
});

test("decodeCalibration() leaves out what was left out", async () => {
  const optional = FLOAT_FIELDS.filter((field) =>
    !["budgets", "headKl", "keyMean", "keyStd"].includes(field)
  );
  for (const field of optional) {
    const calibration: Calibration = { ...sampleCalibration(1), [field]: null };
    assert.deepEqual(await decodeCalibration(await encodeCalibration(calibration), "x"), calibration);
  }
  for (const statistic of STATISTICS) {
    const whole = sampleCalibration(1);
    const rankings = new Map([[statistic, requireRanking(whole, statistic, "x")]]);
    const decoded = await decodeCalibration(await encodeCalibration({ ...whole, rankings }), "x");
    assert.deepEqual(decoded.rankings, rankings);
    const other = STATISTICS.find((name) => name !== statistic)!;
    assert.throws(() => requireRanking(decoded, other, "x.dscal"), /x\.dscal.*no ".*" ranking/);
  }
});

test("encodeCalibration() gives the same bytes on every runtime and in any order of rankings", async () => {
  const all = sampleCalibration(42);
  const bytes = await encodeCalibration(all);
  assert.equal(bytes.length, GOLDEN.all.bytes);
  assert.equal(await hex(bytes), GOLDEN.all.sha256);
  const bare = await encodeCalibration(sampleCalibration(42, "rankings"));
  assert.equal(await hex(bare), GOLDEN.rankings);
  const turned = { ...all, rankings: new Map([...all.rankings].reverse()) };
  assert.deepEqual(await encodeCalibration(turned), bytes);
  assert.deepEqual(await encodeCalibration(await decodeCalibration(bytes, "x")), bytes);
});

test("encodeCalibration() writes what any reader of MessagePack can read", async () => {
  const calibration = sampleCalibration(1);
  const bytes = await encodeCalibration(calibration);
  assert.equal(new TextDecoder().decode(bytes.subarray(0, 5)), "DSCAL");
  const body = new Packr({ useRecords: false }).unpack(bytes.subarray(BODY_AT)) as Loose;
  assert.deepEqual(body.keyMean.shape, [3, 2, 8]);
  assert.equal(body.keyMean.dtype, "f32");
  const data = body.keyMean.data as Uint8Array;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  assert.equal(view.getFloat32(4 * 17, true), calibration.keyMean![17]);
  assert.equal(body.model.numKvHeads, 2);
  assert.equal(body.corpus.name, calibration.corpus!.name);
});

test("encodeCalibration() refuses records that break a rule", async () => {
  const whole = sampleCalibration(1);
  const withAt = (values: Float32Array, value: number) => values.with(3, value);
  const headless = { ...whole, headKl: null };
  const wrong: [Partial<Calibration>, RegExp][] = [
    [{ rankings: new Map() }, /at least one ranking/],
    [{ importance: withAt(whole.importance!, NaN) }, /importance must be finite and >= 0: found NaN at 3/],
    [{ importance: new Float32Array(3) }, /importance must have 48 values: found 3/],
    [{ keyStd: withAt(whole.keyStd!, -1) }, /keyStd must be/],
    [{ keyMean: withAt(whole.keyMean!, Infinity) }, /keyMean must be finite: found Infinity/],
    [{ keyStd: null }, /keyMean, keyStd and keyContext, or none/],
    [{ keyContext: 0 }, /keyContext must be/],
    [{ layerRecall: withAt(whole.layerRecall!, 1.01) }, /layerRecall must be in 0\.\.1/],
    [{ headKl: withAt(whole.headKl!, -0.1) }, /headKl must be/],
    [{ budgets: whole.budgets.map((share) => share * 1.1) }, /budgets must have mean 1/],
    [{ budgets: withAt(whole.budgets, 9) }, /budgets must be in/],
    [headless, /budgets must all be 1 without headKl/],
    [{ denseLayers: [1, 1] }, /denseLayers must ascend/],
    [{ denseLayers: [3] }, /denseLayers must ascend within 0\.\.2/],
    [{ toolVersion: "0.1\n" }, /toolVersion/],
    [{ corpus: { ...whole.corpus!, name: "\u001b[31m" } }, /corpus's name/],
    [{ corpus: { ...whole.corpus!, name: "a\ud800" } }, /corpus's name/],
    [{ corpus: { ...whole.corpus!, blockLength: 70001 } }, /blockLength/],
    [{ corpus: { ...whole.corpus!, seed: -1 } }, /seed/],
    [{ corpus: { ...whole.corpus!, tokens: 2 ** 32 } }, /tokens/],
    [{ model: { ...whole.model, family: null } as never }, /or none of them/],
    [{ model: { ...whole.model, headDim: 7 } }, /headDim must be even/],
    [{ model: { ...whole.model, numKvHeads: 3 } }, /numKvHeads must divide/],
  ];
  for (const [part, reason] of wrong) {
    await assert.rejects(encodeCalibration({ ...whole, ...part }), (error: unknown) => {
      assert.ok(error instanceof TypeError);
      assert.match(error.message, reason);
      return true;
    });
  }
});

test("decodeCalibration() refuses every truncated prefix and every longer file", async () => {
  const file = await encodeCalibration(sampleCalibration(1));
  for (let length = 0; length < file.length; length++) await refused(file.subarray(0, length));
  await refused(new Uint8Array([...file, 0]), /checksum/);
  // The same with checksums that are right.
  for (let length = BODY_AT; length < file.length; length += 7) {
    await refused(await sealed(file.subarray(BODY_AT, length)));
  }
  await refused(await sealed(new Uint8Array([...file.subarray(BODY_AT), 0])), /after its end/);
});

test("decodeCalibration() refuses other files, versions and sizes", async () => {
  const file = await encodeCalibration(sampleCalibration(1));
  await refused(new TextEncoder().encode('{"model.layers.0.self_attn.q_proj": []}'), /no calibration/);
  await refused(file.with(5, 2), /version is 2, and this ds reads 1: a newer ds/);
  await refused(file.with(5, 0), /version is 0, .*make it anew/);
  await refused(file.with(6, file[6] ^ 1), /checksum/);
  await refused(new Uint8Array(MAX_ARTIFACT_BYTES + 1), /at most/);
});

test("decodeCalibration() refuses every changed bit", async () => {
  const file = await encodeCalibration(sampleCalibration(1, "rankings"));
  const random = seeded(3);
  for (let i = 0; i < file.length; i++) {
    const mutant = file.slice();
    mutant[i] ^= 1 << Math.floor(8 * random());
    await refused(mutant);
  }
});

test("decodeCalibration() refuses or accepts mutants with a right checksum, and nothing else", async () => {
  const random = seeded(11);
  const samples = [sampleCalibration(1), sampleCalibration(2, "rankings")];
  const bodies = await Promise.all(samples.map(async (s) => (await encodeCalibration(s)).subarray(BODY_AT)));
  let accepted = 0;
  for (let round = 0; round < 6000; round++) {
    let body = bodies[round % 2].slice();
    for (let edits = 1 + Math.floor(3 * random()); edits > 0; edits--) {
      const at = Math.floor(body.length * random());
      const what = random();
      if (what < 0.6) body[at] = Math.floor(256 * random());
      else if (what < 0.8) body = new Uint8Array([...body.subarray(0, at), ...body.subarray(at + 1)]);
      else body = new Uint8Array([...body.subarray(0, at), Math.floor(256 * random()), ...body.subarray(at)]);
    }
    const file = await sealed(body);
    try {
      const decoded = await decodeCalibration(file, "x.dscal");
      await decodeCalibration(await encodeCalibration(decoded), "x.dscal");
      accepted++;
    } catch (error) {
      if (!(error instanceof DsError && error.kind === "bad-data")) throw error;
    }
  }
  assert.ok(accepted > 10 && accepted < 3000, `${accepted} mutants were valid calibrations`);
});

test("decodeCalibration() refuses bodies that are not what they should be", async () => {
  const cases: [(body: Loose) => void, RegExp][] = [
    [(b) => delete b.headKl, /no field "headKl"/],
    [(b) => b.extra = 1, /unknown field "extra"/],
    [(b) => b["a\u001b[31m\u202e"] = 1, /unknown field "a\\u001b\[31m\\u202e"/],
    [(b) => b.model.extra = 1, /"model" has the unknown field/],
    [(b) => b.model = [1], /"model" must be a map/],
    [(b) => b.model.numLayers = "3", /"numLayers" must be an integer/],
    [(b) => b.model.numLayers = 3.5, /"numLayers" must be an integer/],
    [(b) => b.model.numLayers = 0, /numLayers must be in/],
    [(b) => b.model.numLayers = 4294967295, /numLayers must be in/],
    [(b) => b.model.numLayers = 4, /"qk2" must be u8 \[4, 2, 8\]/],
    [(b) => b.model.numKvHeads = 3, /numKvHeads must divide/],
    [(b) => b.model.headDim = 512, /headDim must be/],
    [(b) => b.model.family = null, /"family" must be text/],
    [(b) => b.model.fingerprint = "abc", /fingerprint must be/],
    [(b) => b.corpus.sha256 = "F".repeat(64), /sha256/],
    [(b) => b.corpus = [], /"corpus" must be a map/],
    [(b) => b.rankings = {}, /at least one ranking/],
    [(b) => b.rankings.v = b.rankings.k, /"rankings" has the unknown field "v"/],
    [(b) => b.rankings.qk.dtype = "f32", /"qk" must be u8/],
    [(b) => b.rankings.qk.shape = [48], /"qk" must be u8/],
    [(b) => b.rankings.qk.data = new Uint8Array(47), /"qk" must hold the 48 bytes/],
    [(b) => b.rankings.qk.data = "a".repeat(48), /"qk" must hold the 48 bytes/],
    [(b) => b.rankings.qk.data[9] = b.rankings.qk.data[8], /layer 0, head 1 does not/],
    [(b) => b.rankings.qkPerHead.data[95] = 8, /"qkPerHead" .* layer 2, head 3 does not/],
    [(b) => b.keyMean.data.set([0, 0, 192, 127]), /keyMean must be finite: found NaN/],
    [(b) => b.keyStd.data.set([0, 0, 128, 191]), /keyStd must be finite and >= 0: found -1/],
    [(b) => b.layerRecall.data.set([0, 0, 0, 64]), /layerRecall must be in 0\.\.1: found 2/],
    [(b) => b.budgets = null, /"budgets" must be a map/],
    [(b) => b.headKl = null, /budgets must all be 1/],
    [(b) => b.keyContext = null, /keyMean, keyStd and keyContext/],
    [(b) => b.keyContext = true, /"keyContext" must be an integer/],
    [(b) => b.denseLayers = [2, 0], /denseLayers must ascend/],
    [(b) => b.denseLayers = [3], /denseLayers must ascend/],
    [(b) => b.denseLayers = [-1], /denseLayers must ascend/],
    [(b) => b.denseLayers = null, /"denseLayers" must be an array/],
    [(b) => b.toolVersion = "", /toolVersion/],
    [(b) => b.toolVersion = "x".repeat(5000), /string of more than 4096 bytes/],
  ];
  for (const [change, reason] of cases) await refused(await changed(change), reason);
  await refused(await changed((b) => b.budgets.data.set([0, 0, 0, 64]), "rankings"), /without headKl/);
  for (const body of [[0xc0], [0x90], [0x80], [0x01], [0xa1, 97]]) {
    await refused(await sealed(Uint8Array.from(body)), /its body/);
  }
});

test("decodeCalibration() refuses bombs at once", async () => {
  const deep = new Uint8Array(8 * 2 ** 20).fill(0x91);
  const wide = new Uint8Array(8 * 2 ** 20).fill(0x90);
  wide.set([0xdd, 0x00, 0x7f, 0xff, 0xfb]);
  const bombs = [
    deep,
    wide,
    Uint8Array.of(0xdd, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0xdf, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0xc6, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0xdb, 0xff, 0xff, 0xff, 0xff),
    Uint8Array.of(0xc9, 0xff, 0xff, 0xff, 0xff, 0x72),
    // The record extension that decoders without records still take.
    Uint8Array.of(0xd4, 0x72, 0x40, 0x91, 0xa1, 97, 1),
    Uint8Array.of(0xc1),
  ];
  for (const bomb of bombs) {
    const file = await sealed(bomb);
    const start = performance.now();
    await refused(file, /its body/);
    assert.ok(
      performance.now() - start < 2000,
      `${bomb.subarray(0, 6)} took ${performance.now() - start} ms`,
    );
  }
});

const GOLDEN = {
  all: { bytes: 1931, sha256: "f08f1cef2fa20fc833e9c59a230fa436be6cda3ee7ced7f66ab94a64848bd36b" },
  rankings: "0a92346447a33b2b1cde853529251ca9e1220fb54ebb0816fd6f2c494ff1ecf0",
};
