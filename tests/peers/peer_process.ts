/** node-llama-cpp behind the requests of `requests.ts`; on Node. */
import { readFileSync } from "node:fs";
import process from "node:process";
import { runtimeName } from "../../runtime/machine.ts";
import { type Answer, type Ask, type Engine, serve } from "./requests.ts";

/** What is used of node-llama-cpp: the project neither installs it nor checks types against it. */
interface Sequence {
  readonly nextTokenIndex: number;
  evaluate(
    tokens: readonly number[],
    options: { temperature: number; yieldEogToken: boolean },
  ): AsyncGenerator<number, void, number | void>;
  evaluateWithoutGeneratingNewTokens(tokens: readonly number[]): Promise<void>;
  eraseContextTokenRanges(
    ranges: { start: number; end: number }[],
  ): Promise<void>;
  clearHistory(): Promise<void>;
}

/** A name the type checker does not follow. */
const PACKAGE: string = "node-llama-cpp";
/** Tokens per pass of a prefill: llama.cpp's own default. */
const BATCH = 512;
/** Tokens of room above the measured context: a full one would be shifted, losing its oldest tokens. */
const SPARE = 256;
const GREEDY = { temperature: 0, yieldEogToken: true };
/** The type numbers of a KV cache. */
const KV_TYPES: Readonly<Record<number, string>> = { 0: "f32", 1: "f16" };

class Peer implements Engine {
  private sequence!: Sequence;
  private cached = 0;

  async load(
    { model: modelPath, context: contextSize, threads }: Ask<"load">,
  ): Answer<"load"> {
    const { getLlama, LlamaLogLevel } = await import(PACKAGE);
    const llama = await getLlama({
      gpu: false,
      build: "never",
      skipDownload: true,
      maxThreads: threads,
      logLevel: LlamaLogLevel.error,
      logger: (_level: string, message: string) => process.stderr.write(`${message}\n`),
    });
    const model = await llama.loadModel({ modelPath });
    const context = await model.createContext({
      contextSize: contextSize + SPARE,
      batchSize: BATCH,
      threads: { ideal: threads, min: threads },
      flashAttention: true,
    });
    this.sequence = context.getSequence();
    const kvType = KV_TYPES[context.kvCacheKeyType] ?? context.kvCacheKeyType;
    return {
      engine: `node-llama-cpp ${installedVersion()}`,
      runtime: runtimeName(),
      settings:
        `${context.idealThreads} threads, flash attention ${context.flashAttention ? "on" : "off"}, ` +
        `KV ${kvType}, batches of ${context.batchSize}`,
    };
  }

  async fill({ ids }: Ask<"fill">): Answer<"fill"> {
    const started = performance.now();
    await this.sequence.evaluateWithoutGeneratingNewTokens(ids);
    this.cached += ids.length;
    this.expect(this.cached);
    return { ms: performance.now() - started };
  }

  async decode({ ids }: Ask<"decode">): Answer<"decode"> {
    const steps = await this.steps(ids.length, (i) => ids.slice(i, i + 1));
    this.expect(this.cached + ids.length);
    await this.sequence.eraseContextTokenRanges([{
      start: this.cached,
      end: this.sequence.nextTokenIndex,
    }]);
    this.expect(this.cached);
    return steps;
  }

  async prefill({ ids }: Ask<"prefill">): Answer<"prefill"> {
    await this.clear();
    const { stepMs, chosen } = await this.steps(1, () => ids);
    this.expect(ids.length);
    await this.clear();
    return { ms: stepMs[0], chosen: chosen[0] };
  }

  async greedy({ ids, count }: Ask<"greedy">): Answer<"greedy"> {
    await this.clear();
    const { chosen } = await this.steps(
      count,
      (i, before) => i === 0 ? ids : [before],
    );
    await this.clear();
    return { chosen };
  }

  /** Evaluates `tokens(i, choice before)` at step i, each up to the likeliest next token. */
  private async steps(
    count: number,
    tokens: (i: number, before: number) => readonly number[],
  ) {
    const stepMs: number[] = [];
    const chosen: number[] = [];
    const generator = this.sequence.evaluate(tokens(0, -1), GREEDY);
    for (let i = 0; i < count; i++) {
      const started = performance.now();
      // The token given takes the place of the generator's own choice; the first call takes none.
      const step = i === 0 ? await generator.next() : await generator.next(tokens(i, chosen[i - 1])[0]);
      stepMs.push(performance.now() - started);
      if (step.done) {
        throw new Error(`node-llama-cpp gave no token at step ${i}`);
      }
      chosen.push(step.value);
    }
    await generator.return();
    return { stepMs, chosen };
  }

  private async clear(): Promise<void> {
    await this.sequence.clearHistory();
    this.cached = 0;
  }

  /** A reused prefix would make a sample too fast, unseen. */
  private expect(tokens: number): void {
    const { nextTokenIndex } = this.sequence;
    if (nextTokenIndex === tokens) return;
    throw new Error(
      `node-llama-cpp holds ${nextTokenIndex} tokens instead of ${tokens}`,
    );
  }
}

function installedVersion(): string {
  const manifest = new URL(
    `node_modules/${PACKAGE}/package.json`,
    import.meta.url,
  );
  return JSON.parse(readFileSync(manifest, "utf8")).version;
}

await serve(new Peer());
