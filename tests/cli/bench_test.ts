import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { encodeCalibration } from "../../calibrations/artifact.ts";
import { benchCommand } from "../../cli/bench.ts";
import type { BenchOptions } from "../../cli/options/bench.ts";
import type { Terminal } from "../../cli/terminal.ts";
import { openBackend } from "../../backends/mod.ts";
import type { BenchRow } from "../../core/bench/row.ts";
import { DsError, type FailureKind } from "../../core/errors.ts";
import { calibrateText } from "../../runtime/calibrations.ts";
import { loadModel } from "../../runtime/load.ts";

const tiny: BenchOptions = {
  kind: "attention",
  backends: ["reference"],
  contexts: [256, 128],
  batch: 2,
  heads: 4,
  kvHeads: 2,
  headDim: 16,
  sparsity: 1 / 4,
  labels: null,
  threads: null,
  cudaLibrary: null,
  model: "stories260k",
  csv: false,
  json: false,
  samples: 3,
  seconds: 0,
};

function recorder(json = false, signal = new AbortController().signal) {
  const written = { out: "", notes: [] as string[] };
  const terminal: Terminal = {
    json,
    signal,
    stdoutIsTty: false,
    stderrIsTty: false,
    colour: false,
    columns: 80,
    out: (text) => void (written.out += text),
    note: (text) => void written.notes.push(text),
    progress: () => ({ update: () => {}, end: () => {} }),
    drained: () => Promise.resolve(),
  };
  return { terminal, written };
}

interface Printed {
  readonly command: string;
  readonly options: BenchOptions;
  readonly versions: { readonly ds: string; readonly runtime: string };
  readonly device: readonly { readonly backend: string }[];
  readonly rows: readonly BenchRow[];
}

async function printed(options: Partial<BenchOptions>): Promise<Printed> {
  const { terminal, written } = recorder(true);
  await benchCommand({ ...tiny, json: true, ...options }, terminal);
  assert.equal(written.out.trimEnd().split("\n").length, 1);
  return JSON.parse(written.out) as Printed;
}

async function refused(options: Partial<BenchOptions>, kind: FailureKind, message: RegExp): Promise<void> {
  const { terminal, written } = recorder();
  await assert.rejects(benchCommand({ ...tiny, ...options }, terminal), (error: unknown) => {
    assert.ok(error instanceof DsError, String(error));
    assert.equal(error.kind, kind);
    assert.match(error.message, message);
    return true;
  });
  assert.equal(written.out, "");
}

/** A calibration of the embedded model in a folder that goes away again. */
async function withCalibration(use: (path: string) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "ds-bench-"));
  const backend = await openBackend("reference");
  const loaded = await loadModel("stories260k", { backend, context: 64 });
  try {
    const text = "Once upon a time there was a little dog who liked to play in the park with a red ball. "
      .repeat(8);
    const made = await calibrateText(loaded, {
      text,
      corpusName: "a story",
      tokens: 64,
      blockLength: 64,
      quick: true,
    });
    const path = join(folder, "tiny.dscal");
    writeFileSync(path, await encodeCalibration(made));
    await use(path);
  } finally {
    await loaded.close();
    await backend.close();
    rmSync(folder, { recursive: true });
  }
}

test("benchCommand() prints one record with rows of every mode and context when attention is asked for in JSON", async () => {
  const { command, options, versions, device, rows } = await printed({});
  assert.match(
    command,
    /^ds bench attention --backends reference --contexts 256,128 --batch 2 --heads 4 --kv-heads 2/,
  );
  assert.match(command, /--sparsity 1\/4 /);
  assert.equal(options.samples, 3);
  assert.match(versions.runtime, /^(Deno|Bun|Node) /);
  assert.deepEqual(device.map(({ backend }) => backend), ["reference"]);
  assert.deepEqual(
    rows.map(({ context, mode }) => `${context} ${mode}`),
    [256, 128].flatMap((context) => [
      `${context} dense`,
      `${context} double-sparsity`,
      `${context} double-sparsity: score`,
      `${context} double-sparsity: select`,
      `${context} double-sparsity: attend`,
    ]),
  );
  for (const row of rows) {
    assert.equal(row.samplesUs.length, row.samples);
    assert.ok(row.samples >= 3 && row.ceilingGigabytesPerSecond > 0);
    assert.ok(row.p10Us <= row.medianUs && row.medianUs <= row.p90Us);
    assert.equal(row.shape, "b2 h4/2 d16 f32 8x4");
  }
  const [dense, sparse] = rows;
  assert.equal(dense!.speedupOverDense, 1);
  assert.equal(dense!.bytes, 2 * 2 * 256 * 2 * 16 * 4);
  assert.equal(sparse!.byteLimitSpeedup, dense!.bytes! / sparse!.bytes!);
  assert.equal(sparse!.speedupOverDense, dense!.medianUs / sparse!.medianUs);
});

test("benchCommand() prints an aligned table on stdout and the ceiling on stderr when no format is asked for", async () => {
  const { terminal, written } = recorder();
  await benchCommand({ ...tiny, contexts: [128] }, terminal);
  const lines = written.out.trimEnd().split("\n");
  const header = lines.findIndex((line) => line.startsWith("backend "));
  assert.match(lines[header]!, /context +mode +median +p10 +p90 +GB\/s +of ceiling +speedup +limit$/);
  assert.match(lines[0]!, /ceiling [0-9.]+ GB\/s: copies of/);
  assert.match(lines[header + 1]!, /^reference +128 +dense .* 1\.00x +1\.00x$/);
  assert.match(lines[header + 3]!, /^reference +128 +score .* - +-$/);
  assert.equal(new Set(lines.slice(header, header + 6).map((line) => line.length)).size, 1);
  assert.equal(written.notes.length, 1);
  assert.match(written.notes[0]!, /^reference: .*; copies move [0-9.]+ GB\/s$/);
});

test("benchCommand() prints a line per row when CSV is asked for", async () => {
  const { terminal, written } = recorder();
  await benchCommand({ ...tiny, contexts: [128], csv: true }, terminal);
  const lines = written.out.trimEnd().split("\n");
  assert.match(lines[0]!, /^backend,device,shape,context,mode,medianUs,p10Us,p90Us,samples,bytes,/);
  assert.equal(lines.length, 6);
  assert.match(lines[1]!, /^reference,"[^"]+, plain TypeScript",b2 h4\/2 d16 f32 8x4,128,dense,/);
});

test("benchCommand() times whole steps of a model when decode is given a calibration", async () => {
  await withCalibration(async (calibration) => {
    const { rows } = await printed({ kind: "decode", contexts: [128], calibration });
    assert.deepEqual(rows.map(({ mode }) => mode), ["dense", "double-sparsity"]);
    const [dense, sparse] = rows;
    assert.equal(dense!.filled, "prefill");
    assert.ok(sparse!.bytes! < dense!.bytes!);
    for (const row of rows) assert.equal(row.tokensPerSecond, 2e6 / row.medianUs);
  });
});

test("benchCommand() gives tokens per second when prefill is asked for", async () => {
  const { command, rows } = await printed({ kind: "prefill", contexts: [96], samples: 1, batch: 1 });
  assert.doesNotMatch(command, /--batch|--sparsity|--heads/);
  assert.equal(rows.length, 1);
  assert.equal(rows[0]!.tokensPerSecond, (96 * 1e6) / rows[0]!.medianUs);
});

test("benchCommand() refuses before measuring when it cannot do what was asked", async () => {
  await refused({ heads: 5 }, "usage", /multiple of --kv-heads/);
  await refused({ labels: { wide: 16, narrow: 16 } }, "usage", /16x4\+16x2.*16/);
  await refused({ threads: 2 }, "usage", /--threads 2 with backend reference: only cpu takes/);
  await refused({ backends: ["reference", "absent"] }, "backend-unavailable", /absent/);
  await refused(
    { contexts: [128, 2 ** 30] },
    "out-of-memory",
    /at least [0-9.]+ .B and [0-9.]+ .B can be had/,
  );
});

test("benchCommand() names the command that makes a calibration when decode has none", async () => {
  const before = process.env.DS_HOME;
  const folder = mkdtempSync(join(tmpdir(), "ds-bench-"));
  process.env.DS_HOME = folder;
  try {
    await refused({ kind: "decode" }, "missing-input", /ds calibrate --model stories260k/);
  } finally {
    if (before === undefined) delete process.env.DS_HOME;
    else process.env.DS_HOME = before;
    rmSync(folder, { recursive: true });
  }
});

test("benchCommand() prints what it measured and ends when it is interrupted", async () => {
  const abort = new AbortController();
  const { terminal, written } = recorder(false, abort.signal);
  const progress: Terminal["progress"] = (label) => {
    if (label === "reference: attention at 64") abort.abort(new Error("Ctrl-C"));
    return { update: () => {}, end: () => {} };
  };
  const running = benchCommand({ ...tiny, contexts: [128, 64] }, { ...terminal, progress });
  await assert.rejects(running, /Ctrl-C/);
  assert.match(written.out, /reference +128 +dense/);
  assert.doesNotMatch(written.out, /reference +64 /);
});
