/** ds behind the requests of `requests.ts`; on Deno, Bun or Node. */
import { type BackendName, openBackend } from "../../backends/mod.ts";
import { calibrate } from "../../calibrations/calibrate.ts";
import type { Calibration } from "../../calibrations/calibration.ts";
import { calibrationFacts } from "../../calibrations/facts.ts";
import type { Attention } from "../../core/attention/attention.ts";
import { DEFAULT_BUDGET, DEFAULT_FORCED, DEFAULT_SPARSITY } from "../../core/attention/budget.ts";
import { DenseAttention } from "../../core/attention/dense.ts";
import { openAttention } from "../../core/attention/open.ts";
import { fillSlot } from "../../core/bench/synthetic.ts";
import { KvCache } from "../../core/kv_cache.ts";
import { defaultLabelLayout, printLabelLayout } from "../../core/labels.ts";
import { consecutiveRows } from "../../core/model.ts";
import { Session, takeArgmax } from "../../core/session.ts";
import { VERSION } from "../../core/version.ts";
import { findCalibration } from "../../runtime/calibrations.ts";
import { type LoadedModel, loadModel } from "../../runtime/load.ts";
import { runtimeName } from "../../runtime/machine.ts";
import { textIds } from "./ids.ts";
import { type Answer, type Ask, type DecodeMode, type Engine, serve } from "./requests.ts";

const SEED = 1;
/** Tokens a model without a calibration is calibrated on: for timing, any will do. */
const CALIBRATION_TOKENS = 256;

interface Decoder {
  readonly cache: KvCache;
  readonly attention: Attention;
}

class Ds implements Engine {
  private loaded!: LoadedModel;
  private calibration!: Calibration;
  private session!: Session;
  private decoders!: Readonly<Record<DecodeMode, Decoder>>;
  private cached = 0;

  async load(
    { model: path, context, threads, backend: name }: Ask<"load">,
  ): Answer<"load"> {
    const backend = await openBackend(name as BackendName, { threads });
    this.loaded = await loadModel(path, {
      backend,
      context: Math.max(context, CALIBRATION_TOKENS),
    });
    const { model: { config }, identity } = this.loaded;
    this.calibration = (await findCalibration(identity))?.calibration ??
      await quickCalibration(this.loaded);
    const layout = defaultLabelLayout(config.headDim);
    const facts = calibrationFacts(this.calibration, layout);
    const dtype = backend.device.kvDtypes[0]!;
    const cache = KvCache.alloc(backend, config, {
      slots: 1,
      capacity: context,
      dtype,
      labels: facts.labels,
    });
    const sparse = openAttention("double-sparsity", backend, config, {
      budget: DEFAULT_BUDGET,
      forced: DEFAULT_FORCED,
      perHead: false,
      tail: true,
      denseBelow: 0,
      calibration: facts,
    }, context);
    this.session = new Session(this.loaded.model, cache);
    this.decoders = {
      // Writing labels is no part of a dense step.
      dense: {
        cache: cache.withLabels(null),
        attention: new DenseAttention(backend, config),
      },
      "double-sparsity": { cache, attention: sparse },
    };
    return {
      engine: `ds ${VERSION}, backend ${name}`,
      runtime: runtimeName(),
      settings: `${backend.device.name}, KV ${dtype}, labels ${printLabelLayout(layout)}, ` +
        `sparse 1/${1 / DEFAULT_SPARSITY}`,
    };
  }

  async fill({ ids, synthetic }: Ask<"fill">): Answer<"fill"> {
    const { model } = this.loaded;
    const started = performance.now();
    if (synthetic) await this.fillRandomly(this.cached + ids.length);
    else model.backend.free(await this.session.prefill(ids));
    this.cached += ids.length;
    return { ms: performance.now() - started };
  }

  async decode({ ids, mode }: Ask<"decode">): Answer<"decode"> {
    const stepMs: number[] = [];
    const chosen: number[] = [];
    for (let i = 0; i < ids.length; i++) {
      const started = performance.now();
      chosen.push(
        await this.step(ids[i], this.cached + i, this.decoders[mode]),
      );
      stepMs.push(performance.now() - started);
    }
    this.decoders[mode].attention.truncate(this.cached);
    return { stepMs, chosen };
  }

  async prefill({ ids }: Ask<"prefill">): Answer<"prefill"> {
    this.clear();
    const started = performance.now();
    const chosen = await takeArgmax(
      this.loaded.model,
      await this.session.prefill(ids),
    );
    const ms = performance.now() - started;
    this.clear();
    return { ms, chosen };
  }

  async greedy({ ids, count }: Ask<"greedy">): Answer<"greedy"> {
    this.clear();
    const chosen = [
      await takeArgmax(this.loaded.model, await this.session.prefill(ids)),
    ];
    while (chosen.length < count) {
      const position = ids.length + chosen.length - 1;
      chosen.push(
        await this.step(chosen.at(-1)!, position, this.decoders.dense),
      );
    }
    this.clear();
    return { chosen };
  }

  private async step(
    id: number,
    position: number,
    { cache, attention }: Decoder,
  ): Promise<number> {
    const { model } = this.loaded;
    const rows = consecutiveRows([id], position);
    return await takeArgmax(
      model,
      (await model.forward(cache, rows, attention, {
        logitRows: Int32Array.of(0),
      }))!,
    );
  }

  private async fillRandomly(length: number): Promise<void> {
    const { backend, config } = this.loaded.model;
    const { keyMean, keyStd } = this.calibration;
    if (keyMean === null || keyStd === null) {
      throw new Error(
        "Cannot fill randomly: the calibration has no key statistics",
      );
    }
    const size = config.numKvHeads * config.headDim;
    for (const [l, layer] of this.session.cache.layers.entries()) {
      const mean = keyMean.subarray(l * size, (l + 1) * size);
      const deviation = keyStd.subarray(l * size, (l + 1) * size);
      await fillSlot(backend, layer, config, { mean, deviation }, {
        length,
        seed: SEED + l,
      });
    }
  }

  private clear(): void {
    this.session.truncate(0);
    this.cached = 0;
  }
}

async function quickCalibration(loaded: LoadedModel): Promise<Calibration> {
  return await calibrate(loaded.model, [textIds(loaded, CALIBRATION_TOKENS)], {
    identity: loaded.identity,
    corpus: { name: "built in", sha256: "0".repeat(64), seed: SEED },
    toolVersion: VERSION,
    quick: true,
  });
}

await serve(new Ds());
