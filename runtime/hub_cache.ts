import { readdir, readFile } from "node:fs/promises";
import { homedir } from "node:os";
import { isAbsolute, join } from "node:path";
import { DsError } from "../core/errors.ts";
import { type Environment, setting } from "./environment.ts";
import { cannotRead, errorCode } from "./failures.ts";
import { diskFiles, nameFault } from "./files.ts";
import { dsFolders, homeFolder } from "./folders.ts";

const PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}";
const ID = new RegExp(`^(${PART})/(${PART})$`);

/** A Hugging Face repository's id, and the revision asked for. */
export interface HubModel {
  /** `org/name`. */
  readonly id: string;
  readonly revision: string;
}

/** Reads `org/name` or `org/name@revision`; null for anything else. */
export function parseHubModel(text: string): HubModel | null {
  const at = text.indexOf("@");
  const id = at < 0 ? text : text.slice(0, at);
  const revision = at < 0 ? "main" : text.slice(at + 1);
  if (!ID.test(id) || /\.\.|--/.test(id) || !isRevision(revision)) return null;
  return { id, revision };
}

/** Branches, tags, `refs/pr/1` and commits, as safe names of files. */
export function isRevision(text: string): boolean {
  return nameFault(text) === null && text.length <= 200 && /^[A-Za-z0-9._/-]+$/.test(text);
}

/** Whether a reference names one commit for ever. */
export function isCommit(text: string): boolean {
  return /^[0-9a-f]{40}$/.test(text);
}

/** The Hugging Face cache: `HF_HUB_CACHE`, else `HF_HOME`/hub, else huggingface/hub of the user's cache folder. */
export function hubFolder(environment: Environment = process.env): string {
  const expand = (path: string) => path.replace(/^~(?=$|[\\/])/, () => homeFolder(environment) ?? homedir());
  const direct = setting(environment, "HF_HUB_CACHE") ?? setting(environment, "HUGGINGFACE_HUB_CACHE");
  if (direct !== null) return expand(direct);
  const home = setting(environment, "HF_HOME");
  if (home !== null) return join(expand(home), "hub");
  const cache = setting(environment, "XDG_CACHE_HOME");
  if (cache !== null && isAbsolute(cache)) return join(cache, "huggingface", "hub");
  const user = homeFolder(environment);
  return user === null
    ? join(dsFolders(environment).cache, "huggingface", "hub")
    : join(user, ".cache", "huggingface", "hub");
}

/** The folder of one repository in the cache. */
export function repositoryFolder(hub: string, id: string): string {
  return join(hub, `models--${id.replace("/", "--")}`);
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errorCode(error) === "ENOENT" || errorCode(error) === "ENOTDIR") return [];
    throw cannotRead(folder, error);
  }
}

/** Ids of the models that lie in the cache. */
export async function cachedHubModels(hub: string): Promise<string[]> {
  const names = await namesIn(hub).catch(() => []);
  return names.filter((name) => name.startsWith("models--"))
    .map((name) => name.slice("models--".length).replace("--", "/"))
    .filter((id) => ID.test(id)).sort();
}

async function commitOf(folder: string, model: HubModel): Promise<string | null> {
  let text: string;
  try {
    text = (await readFile(join(folder, "refs", model.revision), "utf8")).trim();
  } catch (error) {
    if (!["ENOENT", "ENOTDIR", "EISDIR"].includes(errorCode(error) ?? "")) throw cannotRead(folder, error);
    const snapshots = await namesIn(join(folder, "snapshots"));
    if (snapshots.includes(model.revision)) return model.revision;
    // Fetched by commit, there is no reference; a single snapshot is the only thing "main" can mean.
    return model.revision === "main" && snapshots.length === 1 ? snapshots[0]! : null;
  }
  if (/^[A-Za-z0-9._-]{1,128}$/.test(text) && nameFault(text) === null) return text;
  throw new DsError(
    "bad-data",
    `Cannot find ${model.id} in the Hugging Face cache: its reference ${model.revision} does not hold a commit; ` +
      `remove ${folder} and get the model again with: ds pull ${model.id}`,
  );
}

/**
 * The snapshot folder of a cached model, or its GGUF file where the repository is one such file; null where the
 * cache does not have it.
 */
export async function findHubModel(hub: string, model: HubModel): Promise<string | null> {
  const folder = repositoryFolder(hub, model.id);
  const commit = await commitOf(folder, model);
  if (commit === null) return null;
  const snapshot = join(folder, "snapshots", commit);
  const names = await namesIn(snapshot);
  if (names.includes("config.json") && await diskFiles.kind(join(snapshot, "config.json")) === "file") {
    return snapshot;
  }
  const gguf = names.filter((name) => name.endsWith(".gguf"));
  if (gguf.length === 1) return await diskFiles.resolveInside(snapshot, gguf[0]!);
  if (gguf.length === 0) return null;
  throw new DsError(
    "missing-input",
    `Cannot choose a file of ${model.id}: ${snapshot} holds ${
      gguf.sort().join(", ")
    }; give the path of one with --model`,
  );
}
