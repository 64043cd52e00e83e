import { calibrationFacts } from "../calibrations/facts.ts";
import type { Calibration } from "../calibrations/calibration.ts";
import { requireMatch } from "../calibrations/model_identity.ts";
import type { CalibrationFacts } from "../core/attention/open.ts";
import type { Backend } from "../core/backend.ts";
import type { Ceiling } from "../core/bench/ceiling.ts";
import { DecodeBench, type DecodeBenchShape, decodeCacheBytes } from "../core/bench/decode.ts";
import { type BenchRow, benchRow } from "../core/bench/row.ts";
import type { KeyMoments } from "../core/bench/synthetic.ts";
import { percentile } from "../core/bench/timing.ts";
import { DsError } from "../core/errors.ts";
import { defaultLabelLayout, printLabelLayout } from "../core/labels.ts";
import type { Model } from "../core/model.ts";
import { findCalibration, readCalibration } from "../runtime/calibrations.ts";
import { type OpenedModel, openModel } from "../runtime/load.ts";
import { requireMemory } from "./bench_memory.ts";
import { loadForBench, modelName, noteLongContexts } from "./bench_model.ts";
import { BENCH_SEED, type BenchKindRun, timeWithBar } from "./bench_run.ts";
import type { BenchOptions } from "./options/bench.ts";
import type { Terminal } from "./terminal.ts";

/** `ds bench decode`: whole decode steps of a model, dense and sparse. */
export async function openDecodeKind(options: BenchOptions, terminal: Terminal): Promise<BenchKindRun> {
  const opened = await openModel(options.model);
  const { checkpoint } = opened;
  try {
    const calibration = await calibrationOf(opened, options);
    const layout = options.labels ?? defaultLabelLayout(checkpoint.config.headDim);
    const facts = calibrationFacts(calibration, layout);
    const moments = momentsOf(calibration, opened.name);
    noteLongContexts(opened, options, terminal);
    return {
      check(backend) {
        for (const context of options.contexts) {
          const cache = decodeCacheBytes(checkpoint.config, shapeOf(options, backend, context), facts.labels);
          const what = `decoding ${opened.name} at ${context} tokens and batch ${options.batch}`;
          requireMemory(
            backend,
            checkpoint.weightBytes + cache,
            what,
            "ask for shorter --contexts or a smaller --batch",
          );
        }
      },
      async measure(backend, ceiling, add) {
        const model = await loadForBench(backend, opened, options, terminal);
        try {
          for (const context of options.contexts) {
            const shape = shapeOf(options, backend, context);
            const text = `${modelName(opened)} b${shape.batch} ${shape.kvDtype} ${printLabelLayout(layout)}`;
            const rows = await measureContext(
              model,
              shape,
              { facts, moments, text, ceiling },
              options,
              terminal,
            );
            for (const row of rows) add(row);
          }
        } finally {
          model.free();
        }
      },
      close: () => checkpoint.close(),
    };
  } catch (error) {
    await checkpoint.close();
    throw error;
  }
}

interface DecodeFacts {
  readonly facts: CalibrationFacts;
  readonly moments: readonly KeyMoments[];
  readonly text: string;
  readonly ceiling: Ceiling;
}

async function measureContext(
  model: Model,
  shape: DecodeBenchShape,
  { facts, moments, text, ceiling }: DecodeFacts,
  options: BenchOptions,
  terminal: Terminal,
): Promise<BenchRow[]> {
  const { backend } = model;
  const label = `${backend.name}: decode at ${shape.context}`;
  const bar = terminal.progress(`${label}, filling the cache`, 0, "tokens");
  const bench = await DecodeBench.open(model, shape, {
    calibration: facts,
    moments,
    seed: BENCH_SEED,
    signal: terminal.signal,
    onProgress: (done, total) => bar.update(done, total),
  }).finally(() => bar.end());
  try {
    // A step ends on the host by itself.
    const timings = await timeWithBar(bench.cases, label, options, terminal, { sampleMs: 0 });
    const dense = { medianUs: percentile(timings[0]!.samplesUs, 0.5), bytes: bench.cases[0]!.bytes };
    return bench.cases.map(({ name, bytes }, i) =>
      benchRow({
        backend: backend.name,
        device: backend.device.name,
        shape: text,
        context: shape.context,
        mode: name,
        bytes,
        ceilingGigabytesPerSecond: ceiling.gigabytesPerSecond,
        timing: timings[i]!,
        dense,
        tokens: shape.batch,
        filled: bench.filled,
      })
    );
  } finally {
    bench.free();
  }
}

function shapeOf(options: BenchOptions, { device }: Backend, context: number): DecodeBenchShape {
  return {
    batch: options.batch,
    context,
    kvDtype: device.kvDtypes[0]!,
    tokenSparsity: options.sparsity,
  };
}

async function calibrationOf(
  { name, identity }: OpenedModel,
  { calibration: path }: BenchOptions,
): Promise<Calibration> {
  if (path !== undefined) {
    const calibration = await readCalibration(path);
    requireMatch(calibration, identity, path);
    return calibration;
  }
  const found = await findCalibration(identity);
  if (found !== null) return found.calibration;
  throw new DsError(
    "missing-input",
    `Cannot bench decoding ${name}: no calibration of it is shipped or cached; make one with ` +
      `ds calibrate --model ${name} --quick --out model.dscal and give it with --calibration model.dscal`,
  );
}

/** Of the keys of each layer. */
function momentsOf({ keyMean, keyStd, model }: Calibration, name: string): KeyMoments[] {
  if (keyMean === null || keyStd === null) {
    throw new DsError(
      "missing-input",
      `Cannot bench decoding ${name}: its calibration has no key statistics, as imports have none; make one with ` +
        `ds calibrate --model ${name} --quick --out model.dscal`,
    );
  }
  const size = model.numKvHeads * model.headDim;
  return Array.from({ length: model.numLayers }, (_, l) => ({
    mean: keyMean.subarray(l * size, (l + 1) * size),
    deviation: keyStd.subarray(l * size, (l + 1) * size),
  }));
}
