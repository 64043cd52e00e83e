import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DsError } from "../core/errors.ts";
import { EMBEDDED_MODEL_PATH, EMBEDDED_TOKENIZER_PATH } from "./embedded.ts";
import type { Environment } from "./environment.ts";
import { diskFiles } from "./files.ts";
import { dsFolders } from "./folders.ts";
import { cachedHubModels, findHubModel, hubFolder, parseHubModel } from "./hub_cache.ts";

/** A model that ds knows by name. */
export interface NamedModel {
  readonly name: string;
  readonly description: string;
  readonly licence: string;
  /** Of the model file. */
  readonly bytes: number;
  readonly sha256: string;
  /** "embedded": part of ds; "pull": fetched into the cache folder. */
  readonly source: "embedded" | "pull";
  /** The file's name in the cache folder's `models`; of an embedded model, its own. */
  readonly file: string;
}

export const NAMED_MODELS: readonly NamedModel[] = [
  {
    name: "smollm2-135m",
    description: "SmolLM2-135M-Instruct, GGUF Q4_1, context 8192",
    licence: "Apache-2.0",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    source: "pull",
    file: "smollm2-135m.gguf",
  },
  {
    name: "stories260k",
    description: "a tiny model of children's stories, part of ds, context 512",
    licence: "MIT",
    bytes: 1_056_540,
    sha256: "b0a507e7ad0f626624f17112325e66691f9076d622e1d3274d103d00299f2696",
    source: "embedded",
    file: "stories260K.bin",
  },
];

/** What `ds run` uses without `--model`. */
export const DEFAULT_MODEL = "smollm2-135m";
/** What it uses where the default can be had neither from the cache nor from the network. */
export const FALLBACK_MODEL = "stories260k";

/** A model that is on this machine; paths are for `modelFiles`. */
export interface FoundModel {
  readonly path: string;
  readonly tokenizerPath?: string;
  /** The name or Hugging Face id it was found by. */
  readonly name?: string;
}

/** Where a named model's file is kept. */
export function cachedModelPath(model: NamedModel, environment: Environment = process.env): string {
  return join(dsFolders(environment).cache, "models", model.file);
}

/** The table's entry; null for other names. */
export function namedModel(name: string): NamedModel | null {
  return NAMED_MODELS.find((model) => model.name === name.toLowerCase()) ?? null;
}

async function findNamed(model: NamedModel, environment: Environment): Promise<FoundModel | null> {
  if (model.source === "embedded") {
    return { path: EMBEDDED_MODEL_PATH, tokenizerPath: EMBEDDED_TOKENIZER_PATH, name: model.name };
  }
  const path = cachedModelPath(model, environment);
  const size = await stat(path).then((facts) => facts.isFile() ? facts.size : -1, () => -1);
  // The size alone, to be quick at every start; `pullModel` hashes, and the format's reader checks what it reads.
  return size === model.bytes ? { path, name: model.name } : null;
}

/**
 * A named model or Hugging Face id (`org/name`, `org/name@revision`) that is on this machine; null where it is not.
 * Nothing is fetched.
 */
export async function findModel(
  name: string,
  environment: Environment = process.env,
): Promise<FoundModel | null> {
  const named = namedModel(name);
  if (named !== null) return await findNamed(named, environment);
  const hub = parseHubModel(name);
  if (hub === null) return null;
  const path = await findHubModel(hubFolder(environment), hub);
  return path === null ? null : { path, name };
}

/** Edits (insert, remove, replace) between two words, both cut at 100 characters. */
function editDistance(a: string, b: string): number {
  const from = a.slice(0, 100).toLowerCase();
  const to = b.slice(0, 100).toLowerCase();
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i++) {
    const next = [i];
    for (let j = 1; j <= to.length; j++) {
      const replace = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}

async function unknownModel(text: string, environment: Environment): Promise<DsError> {
  const hub = hubFolder(environment);
  const known = [...NAMED_MODELS.map((model) => model.name), ...await cachedHubModels(hub)];
  const near = known.map((name) => ({ name, distance: editDistance(text, name) }))
    .filter(({ name, distance }) => distance > 0 && distance <= Math.max(2, name.length / 3))
    .sort((a, b) => a.distance - b.distance).slice(0, 3).map(({ name }) => name);
  const hint = near.length > 0 ? `; did you mean ${near.join(" or ")}?` : "";
  if (parseHubModel(text) !== null) {
    return new DsError(
      "missing-input",
      `Cannot find the model ${text}: it is no path, and not (or not whole) in the Hugging Face cache ${hub}; ` +
        `get it with: ds pull ${text}${hint}`,
    );
  }
  const names = NAMED_MODELS.map((model) => model.name).join(" and ");
  return new DsError(
    "missing-input",
    `Cannot find the model ${text}: no such path, and the names ds knows are ${names} and Hugging Face ids (org/name)${hint}`,
  );
}

/**
 * What `--model` means: a known name, a path, or the id of a model in the Hugging Face cache, in that order.
 *
 * @throws {DsError} kind "missing-input" naming the nearest names, or the command that gets the model
 */
export async function resolveModel(
  nameOrPath: string,
  environment: Environment = process.env,
): Promise<FoundModel> {
  const named = namedModel(nameOrPath);
  if (named !== null) {
    const found = await findNamed(named, environment);
    if (found !== null) return found;
    throw new DsError(
      "missing-input",
      `Cannot open the model ${named.name}: it is not in ${cachedModelPath(named, environment)}; ` +
        `get it with: ds pull ${named.name} (${(named.bytes / 1e6).toFixed(0)} MB)`,
    );
  }
  if (nameOrPath === EMBEDDED_MODEL_PATH) {
    return { path: EMBEDDED_MODEL_PATH, tokenizerPath: EMBEDDED_TOKENIZER_PATH };
  }
  if (nameOrPath !== "" && await diskFiles.kind(nameOrPath) !== "missing") return { path: nameOrPath };
  const found = await findModel(nameOrPath, environment);
  if (found !== null) return found;
  throw await unknownModel(nameOrPath, environment);
}
