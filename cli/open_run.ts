import { type BackendName, openBackend } from "../backends/mod.ts";
import type { Backend } from "../core/backend.ts";
import { DsError } from "../core/errors.ts";
import { type LoadedModel, loadOpened, type OpenedModel, openModel } from "../runtime/load.ts";
import { DEFAULT_MODEL, FALLBACK_MODEL, findModel } from "../runtime/models.ts";
import { pullModel } from "../runtime/pull.ts";
import { memoryFault, planWeights } from "./memory_plan.ts";
import type { Terminal } from "./terminal.ts";
import { describeRuntime } from "../runtime/machine.ts";

/** Tokens of the built-in text that a quick calibration uses at most: a minute or so on a small machine. */
export const QUICK_TOKENS = 1024;

export interface ModelChoice {
  /** Null: the default model, or the embedded one where that cannot be had. */
  readonly model: string | null;
  readonly tokenizer: string | null;
}

export interface BackendChoice {
  readonly backend: "auto" | BackendName;
  /** Of backend "cpu"; null: one per processor. */
  readonly threads: number | null;
  /** Of backend "cuda"; null: where it is found. */
  readonly cudaLibrary: string | null;
}

export interface RunChoice extends ModelChoice, BackendChoice {
  /** Null: what the model was made for. */
  readonly context: number | null;
}

/** The name of the model to use: fetches the default one where it is not here, and says what it falls back to. */
export async function chooseModel(model: string | null, terminal: Terminal): Promise<string> {
  if (model !== null) return model;
  if (await findModel(DEFAULT_MODEL) !== null) return DEFAULT_MODEL;
  const bar = terminal.progress(`Getting ${DEFAULT_MODEL}`, 0, "bytes");
  try {
    await pullModel(DEFAULT_MODEL, {
      onProgress: (done, total) => bar.update(done, total),
      signal: terminal.signal,
    });
    return DEFAULT_MODEL;
  } catch (error) {
    if (terminal.signal.aborted || !(error instanceof DsError)) throw error;
    bar.end();
    const reason = error.message.replace(/\s+/g, " ");
    terminal.note(
      `${DEFAULT_MODEL} is not here and cannot be had, so the tiny ${FALLBACK_MODEL} is used: ${reason}`,
    );
    return FALLBACK_MODEL;
  } finally {
    bar.end();
  }
}

/** Opens the chosen model's files; the weights are not read yet. */
export async function openChosen(choice: ModelChoice, terminal: Terminal): Promise<OpenedModel> {
  const name = await chooseModel(choice.model, terminal);
  return await openModel(name, choice.tokenizer === null ? {} : { tokenizer: choice.tokenizer });
}

/**
 * Opens the backend a command computes on. It refuses what this machine lacks, with numbers: engines hand out memory they
 * do not have.
 *
 * @throws {DsError} kind "usage" where threads are asked of a backend that has none, or "backend-unavailable"
 */
export async function openChosenBackend(
  { backend: name, threads, cudaLibrary }: BackendChoice,
  terminal: Terminal,
): Promise<Backend> {
  if (threads !== null && name !== "auto") requireThreads(threads, [name]);
  const { totalMemory, cpus } = describeRuntime();
  const backend = await openBackend(name, {
    memoryBytes: totalMemory,
    threads: threads ?? cpus,
    ...(cudaLibrary !== null && { cudaLibrary }),
  });
  if (threads !== null && backend.name !== "cpu") {
    terminal.note(`--threads ${threads} has no part in it: backend ${backend.name} is used, not cpu`);
  }
  if (cudaLibrary !== null && name === "auto" && backend.name !== "cuda") {
    terminal.note(
      `--cuda-library ${cudaLibrary} has no part in it: backend ${backend.name} is used, not cuda; ds doctor says why`,
    );
  }
  return backend;
}

/** @throws {DsError} kind "usage" where none of the backends takes a number of threads */
export function requireThreads(threads: number, names: readonly string[]): void {
  if (names.includes("cpu")) return;
  throw new DsError(
    "usage",
    `Cannot use --threads ${threads} with backend ${names.join(", ")}: only cpu takes a number of threads; ` +
      "leave it out or use --backend cpu",
  );
}

/** Opens model and backend, loads the weights, runs `work`, and closes both whatever happens. */
export async function withModel<T>(
  choice: RunChoice,
  terminal: Terminal,
  work: (loaded: LoadedModel, backend: Backend) => Promise<T>,
): Promise<T> {
  const opened = await openChosen(choice, terminal);
  let loaded: LoadedModel | null = null;
  let backend: Backend | null = null;
  try {
    const context = contextOf(opened, choice.context);
    backend = await openChosenBackend(choice, terminal);
    requireRoom(opened, backend, context);
    const bar = terminal.progress("Loading the model", opened.checkpoint.weightBytes, "bytes");
    try {
      // Room for a quick calibration too, whose use outlives this run's context.
      const positions = Math.max(context, Math.min(QUICK_TOKENS, opened.checkpoint.config.contextLength));
      const onProgress = (done: number, total: number) => {
        terminal.signal.throwIfAborted();
        bar.update(done, total);
      };
      loaded = { ...await loadOpened(opened, { backend, context: positions, onProgress }), context };
    } finally {
      bar.end();
    }
    terminal.signal.throwIfAborted();
    return await work(loaded, backend);
  } finally {
    await (loaded ?? opened.checkpoint).close();
    await backend?.close();
  }
}

/** @throws {DsError} kind "out-of-memory", before anything is loaded */
function requireRoom({ name, checkpoint }: OpenedModel, backend: Backend, context: number): void {
  const { weightBytes, largestTensorBytes } = planWeights(checkpoint, backend, context);
  const fault = memoryFault("its weights", weightBytes, largestTensorBytes, backend);
  if (fault === null) return;
  throw new DsError(
    "out-of-memory",
    `Cannot load ${name}: ${fault}; use a smaller model or a file of fewer bits`,
  );
}

/** @throws {DsError} kind "usage" where more tokens are asked for than the model was made for */
export function contextOf({ name, checkpoint }: OpenedModel, asked: number | null): number {
  const { contextLength } = checkpoint.config;
  if (asked === null || asked <= contextLength) return asked ?? contextLength;
  throw new DsError(
    "usage",
    `Cannot use a context of ${asked} tokens: ${name} was made for ${contextLength}`,
  );
}

/** How K and V are kept: the choice where the backend offers it, else its best. */
export function kvDtypeOf(
  { name, device }: Backend,
  choice: "f32" | "f16" | "bf16" | null,
): "f32" | "f16" | "bf16" {
  if (choice === null) return device.kvDtypes[0]!;
  if (device.kvDtypes.includes(choice)) return choice;
  throw new DsError(
    "usage",
    `Cannot keep K and V as ${choice}: backend ${name} offers ${device.kvDtypes.join(", ")}`,
  );
}
