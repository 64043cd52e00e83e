import { PrefillBench } from "../core/bench/prefill.ts";
import { benchRow } from "../core/bench/row.ts";
import { decodeCacheBytes } from "../core/bench/decode.ts";
import { openModel } from "../runtime/load.ts";
import { requireMemory } from "./bench_memory.ts";
import { loadForBench, modelName, noteLongContexts } from "./bench_model.ts";
import { BENCH_SEED, type BenchKindRun, timeWithBar } from "./bench_run.ts";
import type { BenchOptions } from "./options/bench.ts";
import type { Terminal } from "./terminal.ts";

/** `ds bench prefill`: whole prompts of a model read in, one at a time. */
export async function openPrefillKind(options: BenchOptions, terminal: Terminal): Promise<BenchKindRun> {
  const opened = await openModel(options.model);
  const { checkpoint } = opened;
  noteLongContexts(opened, options, terminal);
  if (options.batch > 1) terminal.note("Prefill reads one prompt at a time: --batch has no part in it");
  return {
    check(backend) {
      for (const context of options.contexts) {
        const shape = { batch: 1, context, kvDtype: backend.device.kvDtypes[0]!, tokenSparsity: 1 };
        const bytes = checkpoint.weightBytes + decodeCacheBytes(checkpoint.config, shape, null);
        requireMemory(backend, bytes, `a prefill of ${context} tokens`, "ask for shorter --contexts");
      }
    },
    async measure(backend, ceiling, add) {
      const model = await loadForBench(backend, opened, options, terminal);
      try {
        for (const context of options.contexts) {
          const kvDtype = backend.device.kvDtypes[0]!;
          const label = `${backend.name}: prefill of ${context}`;
          const bench = new PrefillBench(model, { context, kvDtype }, {
            seed: BENCH_SEED,
            signal: terminal.signal,
          });
          try {
            const [timing] = await timeWithBar([bench.timed], label, options, terminal, {
              sampleMs: 0,
              leastSamples: 1,
            });
            add(benchRow({
              backend: backend.name,
              device: backend.device.name,
              shape: `${modelName(opened)} b1 ${kvDtype}`,
              context,
              mode: "dense",
              bytes: bench.bytes,
              ceilingGigabytesPerSecond: ceiling.gigabytesPerSecond,
              timing: timing!,
              dense: null,
              tokens: context,
            }));
          } finally {
            bench.free();
          }
        }
      } finally {
        model.free();
      }
    },
    close: () => checkpoint.close(),
  };
}
