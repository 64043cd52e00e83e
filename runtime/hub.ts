import { createReadStream } from "node:fs";
import { lstat, mkdir, readFile, rm, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { DsError } from "../core/errors.ts";
import { download, type OnProgress } from "./download.ts";
import { type Environment, offlineBecause, setting } from "./environment.ts";
import { cannotWrite, errorCode } from "./failures.ts";
import { ensureFolder } from "./folders.ts";
import {
  findHubModel,
  hubFolder,
  isCommit,
  isRevision,
  parseHubModel,
  repositoryFolder,
} from "./hub_cache.ts";
import { chooseFiles, type HubFile, listRepository, lookUp } from "./hub_listing.ts";
import { PATIENCE, type Patience } from "./http.ts";
import type { FoundModel } from "./models.ts";
import { withLock, writeAtomically } from "./output.ts";

export interface HubPullOptions {
  /** A branch, tag or commit; "main" is the default. */
  readonly revision?: string;
  /** `HF_ENDPOINT`, else the public hub. */
  readonly endpoint?: string;
  /** `HF_TOKEN`. Sent to the endpoint's host alone, never written or shown. */
  readonly token?: string;
  /** The cache folder; `hubFolder()` is the default. */
  readonly hub?: string;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly environment?: Environment;
  readonly patience?: Patience;
}

export interface PulledHubModel extends FoundModel {
  readonly commit: string;
  /** Bytes of its files, and how many of them had to be fetched. */
  readonly bytes: number;
  readonly fetchedBytes: number;
}

/** What requests to one hub have in common. */
export interface HubAccess {
  readonly endpoint: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly patience: Patience;
  readonly signal: AbortSignal | undefined;
}

const LONGEST_WAIT_MS = 6 * 3600_000;
/** Of one file; a sanity bound, not a plan. */
const MOST_FILE_BYTES = 2 ** 40;

async function sizeOf(path: string): Promise<number | null> {
  return await lstat(path).then((facts) => facts.isFile() ? facts.size : null, () => null);
}

/** Puts the blob under its name into the snapshot: as a link, or as a copy where links are not to be had. */
async function place(snapshot: string, file: HubFile, blob: string): Promise<void> {
  const path = join(snapshot, file.name);
  await mkdir(dirname(path), { recursive: true });
  await rm(path, { force: true });
  const up = "../".repeat(1 + file.name.split("/").length);
  try {
    await symlink(`${up}blobs/${file.etag}`, path);
  } catch (error) {
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "UNKNOWN"].includes(errorCode(error) ?? "")) {
      throw cannotWrite(path, error);
    }
    await writeAtomically(path, createReadStream(blob) as AsyncIterable<Uint8Array>);
  }
}

async function fetchFiles(
  access: HubAccess,
  id: string,
  commit: string,
  files: readonly HubFile[],
  folder: string,
  onProgress: OnProgress | undefined,
): Promise<{ bytes: number; fetchedBytes: number }> {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  let before = 0;
  let fetchedBytes = 0;
  for (const file of files) {
    const blob = join(folder, "blobs", file.etag);
    if (await sizeOf(blob) !== file.bytes) {
      const start = before;
      await download({
        url: file.url,
        destination: blob,
        what: `${file.name} of ${id}`,
        headers: access.headers,
        bytes: file.bytes,
        maxBytes: MOST_FILE_BYTES,
        sha256: file.sha256 ?? undefined,
        signal: access.signal,
        patience: access.patience,
        onProgress: (done) => onProgress?.(start + done, total),
      });
      fetchedBytes += file.bytes;
    }
    await place(join(folder, "snapshots", commit), file, blob);
    before += file.bytes;
    onProgress?.(before, total);
  }
  return { bytes: total, fetchedBytes };
}

async function writeReference(folder: string, revision: string, commit: string): Promise<void> {
  if (isCommit(revision)) return;
  const path = join(folder, "refs", revision);
  await ensureFolder(dirname(path));
  if (await readFile(path, "utf8").catch(() => "") !== commit) await writeAtomically(path, commit);
}

/**
 * Gets what ds reads of a Hugging Face repository (configuration, tokenizer, chat template, safetensors; or its only
 * GGUF file) into the Hugging Face cache, where other tools find it too. Goes on where an earlier call stopped; large
 * files are checked against their SHA-256.
 *
 * @throws {DsError} kind "missing-input" where it cannot be had, "io" where what came is wrong or the disk fails,
 * "locked", "usage" for an id or revision that cannot be one; the signal's reason when aborted
 */
export async function pullHuggingFace(id: string, options: HubPullOptions = {}): Promise<PulledHubModel> {
  const environment = options.environment ?? process.env;
  const parsed = parseHubModel(id);
  const revision = options.revision ?? parsed?.revision ?? "main";
  if (parsed === null || !isRevision(revision)) {
    throw new DsError(
      "usage",
      `Cannot get ${id} from Hugging Face as an id must be org/name or org/name@revision` +
        (parsed === null ? "" : `, and ${revision} is no name of a revision`),
    );
  }
  const offline = offlineBecause(environment);
  if (offline !== null) {
    throw new DsError(
      "missing-input",
      `Cannot get the model ${id}: ${offline} forbids the network; unset it to fetch`,
    );
  }
  const token = options.token ?? setting(environment, "HF_TOKEN");
  const access: HubAccess = {
    endpoint: (options.endpoint ?? setting(environment, "HF_ENDPOINT") ?? "https://huggingface.co").replace(
      /\/+$/,
      "",
    ),
    headers: token === null ? {} : { authorization: `Bearer ${token.trim()}` },
    patience: options.patience ?? PATIENCE,
    signal: options.signal,
  };
  const hub = options.hub ?? hubFolder(environment);
  const folder = repositoryFolder(hub, parsed.id);
  const locks = join(hub, ".locks", `models--${parsed.id.replace("/", "--")}`);
  await ensureFolder(join(folder, "blobs"));
  await ensureFolder(locks);
  return await withLock(join(locks, "ds-pull"), async () => {
    const listing = await listRepository(access, parsed.id, revision);
    const names = await chooseFiles(access, parsed.id, listing);
    const files: HubFile[] = [];
    for (const name of names) files.push(await lookUp(access, parsed.id, listing.commit, name));
    const counts = await fetchFiles(access, parsed.id, listing.commit, files, folder, options.onProgress);
    // Last, so that a reference never names a snapshot that is not whole.
    await writeReference(folder, revision, listing.commit);
    const path = await findHubModel(hub, { id: parsed.id, revision: listing.commit });
    if (path !== null) return { path, name: id, commit: listing.commit, ...counts };
    throw new DsError("missing-input", `Cannot use ${id}: it holds neither a config.json nor a GGUF file`);
  }, { waitMs: LONGEST_WAIT_MS, signal: options.signal });
}
