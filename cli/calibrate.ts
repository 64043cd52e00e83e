import { basename } from "node:path";
import { encodeCalibration } from "../calibrations/artifact.ts";
import { MIN_BLOCK_TOKENS } from "../calibrations/blocks.ts";
import type { Calibration } from "../calibrations/calibration.ts";
import { importChannelConfig } from "../calibrations/channel_config.ts";
import { bindToModel, requireMatch } from "../calibrations/model_identity.ts";
import { builtinText } from "../calibrations/texts/builtin.ts";
import { DsError } from "../core/errors.ts";
import { sha256Hex } from "../core/sha256.ts";
import { VERSION } from "../core/version.ts";
import { calibrateText } from "../runtime/calibrations.ts";
import type { LoadedModel } from "../runtime/load.ts";
import { withLock, writeAtomically } from "../runtime/output.ts";
import { reportCalibration } from "./calibration_report.ts";
import type { CommandTerminal } from "./command_terminal.ts";
import { readText } from "./input.ts";
import { openChosen, withModel } from "./open_run.ts";
import type { CalibrateOptions } from "./options/calibrate.ts";
import { requireWritable } from "./output_check.ts";
import type { Terminal } from "./terminal.ts";

/** Longer blocks only where asked for: attention cost grows with the square. */
const DEFAULT_BLOCK = 2048;

/** `ds calibrate`: measures a model on a text, or imports published rankings, and writes a .dscal file. */
export async function calibrateCommand(options: CalibrateOptions, terminal: CommandTerminal): Promise<void> {
  const out = options.out ?? defaultName(options);
  await requireWritable(out);
  const started = performance.now();
  await withLock(out, async () => {
    const calibration = await make(options, terminal);
    terminal.signal.throwIfAborted();
    const bytes = await encodeCalibration(calibration);
    await writeAtomically(out, bytes);
    reportCalibration(calibration, {
      path: out,
      sha256: await sha256Hex(bytes),
      bytes: bytes.length,
      seconds: (performance.now() - started) / 1000,
    }, terminal);
  }, { signal: terminal.signal });
}

function defaultName({ model, import: config }: CalibrateOptions): string {
  const source = model ?? config ?? "smollm2-135m";
  const name = basename(source).replace(/\.(gguf|bin|json|safetensors)$/i, "").replace(/[^\w.@-]+/g, "-");
  return `${name === "" || name === "." || name === ".." || name === "-" ? "model" : name}.dscal`;
}

async function make(options: CalibrateOptions, terminal: CommandTerminal): Promise<Calibration> {
  if (options.import === null) {
    if (options.kvHeads !== null) {
      throw new DsError("usage", "Cannot use --kv-heads without --import: models tell their own");
    }
    return await measure(options, null, terminal);
  }
  if (options.model === null && options.corpus !== null) {
    throw new DsError("usage", "Cannot measure an import on a corpus without a model: give --model");
  }
  if (options.model === null) return await imported(options.import, options.kvHeads, terminal);
  if (options.corpus === null) {
    const opened = await openChosen(options, terminal);
    try {
      const rankings = await imported(
        options.import,
        options.kvHeads ?? opened.identity.numKvHeads,
        terminal,
      );
      return bindToModel(rankings, opened.identity, options.import);
    } finally {
      await opened.checkpoint.close();
    }
  }
  return await measure(options, options.import, terminal);
}

async function imported(
  path: string,
  numKvHeads: number | null,
  terminal: CommandTerminal,
): Promise<Calibration> {
  if (numKvHeads === null) {
    throw new DsError(
      "usage",
      `Cannot import ${path} without the model's number of KV heads, which the file does not tell: give --kv-heads or --model`,
    );
  }
  return importChannelConfig(await readText(path, terminal), path, { numKvHeads, toolVersion: VERSION });
}

async function measure(
  options: CalibrateOptions,
  config: string | null,
  terminal: CommandTerminal,
): Promise<Calibration> {
  const { corpus } = options;
  const text = corpus === null ? builtinText : await readText(corpus, terminal);
  const choice = { ...options, context: options.block };
  return await withModel(choice, terminal, async (loaded) => {
    const kept = config === null
      ? null
      : await imported(config, options.kvHeads ?? loaded.identity.numKvHeads, terminal);
    if (kept !== null) requireMatch(kept, loaded.identity, config!);
    const bars = new StageBars(terminal);
    try {
      return await calibrateText(loaded, {
        text,
        corpusName: corpus === null ? "built-in text" : corpus === "-" ? "stdin" : basename(corpus),
        tokens: options.tokens,
        blockLength: options.block ?? blockLength(loaded, text, options.tokens),
        seed: options.seed,
        quick: options.quick,
        ...(kept !== null && { rankings: kept.rankings }),
        onProgress: ({ stage, done, total }) => bars.update(stage, done, total),
        signal: terminal.signal,
      });
    } finally {
      bars.end();
    }
  });
}

/** As long as the model's context, `DEFAULT_BLOCK`, the tokens asked for and the text allow. */
function blockLength(loaded: LoadedModel, text: string, tokens: number): number {
  const available = loaded.tokenizer?.encode(text, { addSpecial: false }).length ?? Infinity;
  return Math.max(Math.min(loaded.context, DEFAULT_BLOCK, tokens, available), MIN_BLOCK_TOKENS);
}

/** One bar after the other: tokens while statistics are gathered, then KV heads. */
class StageBars {
  private readonly terminal: Terminal;
  private stage = "";
  private bar: ReturnType<Terminal["progress"]> | null = null;

  constructor(terminal: Terminal) {
    this.terminal = terminal;
  }

  update(stage: "statistics" | "measurements", done: number, total: number): void {
    if (stage !== this.stage) {
      this.end();
      this.bar = stage === "statistics"
        ? this.terminal.progress("Reading the corpus", total, "tokens")
        : this.terminal.progress("Measuring heads", total, "heads");
      this.stage = stage;
    }
    this.bar!.update(done, total);
  }

  end(): void {
    this.bar?.end();
  }
}
