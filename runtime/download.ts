import { createHash, type Hash } from "node:crypto";
import { createReadStream } from "node:fs";
import { type FileHandle, open, rename, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { DsError } from "../core/errors.ts";
import { discardPart, findPart, notePart } from "./download_part.ts";
import { cannotWrite } from "./failures.ts";
import {
  type Exchange,
  networkFailure,
  type Patience,
  request,
  requireStatus,
  Transient,
  withoutSecrets,
  withRetries,
} from "./http.ts";
import { syncFolder } from "./output.ts";

export type OnProgress = (doneBytes: number, totalBytes: number) => void;

export interface DownloadOptions {
  readonly url: string;
  /** The finished file. `destination.part` and `.part.json` hold what an interrupted download has so far. */
  readonly destination: string;
  /** For messages: what is being fetched. */
  readonly what: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The size, where it is known beforehand. */
  readonly bytes?: number | undefined;
  /** More than that is never written. */
  readonly maxBytes: number;
  readonly sha256?: string | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly patience: Patience;
}

export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  return (await feed(createHash("sha256"), path, signal)).digest("hex");
}

async function feed(hash: Hash, path: string, signal?: AbortSignal): Promise<Hash> {
  for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) {
    signal?.throwIfAborted();
    hash.update(piece as Uint8Array);
  }
  return hash;
}

function limitOf(options: DownloadOptions): number {
  return Math.min(options.maxBytes, options.bytes ?? Infinity);
}

function countOf(text: string | null): number | null {
  return text !== null && /^\d{1,15}$/.test(text) ? Number(text) : null;
}

/** Where the body belongs and how long the whole file will be, both checked against what was asked. */
function placeBody(response: Response, asked: number): { offset: number; total: number | null } {
  const length = response.headers.has("content-encoding")
    ? null
    : countOf(response.headers.get("content-length"));
  if (response.status === 200) return { offset: 0, total: length };
  const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(
    response.headers.get("content-range") ?? "",
  );
  if (range === null || Number(range[1]) !== asked) {
    throw new Transient("the server sent another part than the one asked for");
  }
  return { offset: asked, total: countOf(range[3]!) ?? (length === null ? null : asked + length) };
}

/** How far any try has come. */
interface Reach {
  bytes: number;
}

const LEAST_PROGRESS = 65_536;

/** Whether a try came noticeably further than all before it: a server that cannot resume may stop at one place for ever. */
function advance(reach: Reach, done: number): boolean {
  const further = done >= reach.bytes + LEAST_PROGRESS;
  reach.bytes = Math.max(reach.bytes, done);
  return further;
}

interface Body {
  readonly exchange: Exchange;
  readonly offset: number;
  readonly total: number | null;
}

async function receive(
  part: string,
  body: Body,
  hash: Hash,
  reach: Reach,
  options: DownloadOptions,
): Promise<number> {
  const { exchange, offset, total } = body;
  const limit = limitOf(options);
  let done = offset;
  let handle: FileHandle | undefined;
  try {
    handle = await open(part, offset === 0 ? "w" : "r+").catch((error) => {
      throw cannotWrite(part, error);
    });
    const reader = exchange.response.body?.getReader();
    while (reader !== undefined) {
      let piece: Uint8Array | undefined;
      try {
        piece = (await reader.read()).value;
      } catch (error) {
        const failure = networkFailure(error, undefined, options.signal);
        throw failure instanceof Transient
          ? new Transient(failure.message, null, advance(reach, done))
          : failure;
      }
      if (piece === undefined) break;
      exchange.alive();
      if (done + piece.length > limit) {
        await reader.cancel().catch(() => {});
        throw new DsError(
          "io",
          `Cannot use ${withoutSecrets(options.url)} for ${options.what}: it is longer than ${limit} bytes`,
        );
      }
      hash.update(piece);
      await handle.write(piece, 0, piece.length, done).catch((error) => {
        throw cannotWrite(part, error);
      });
      done += piece.length;
      options.onProgress?.(done, Math.max(done, options.bytes ?? total ?? done));
    }
    await handle.sync();
  } finally {
    await handle?.close();
  }
  if (total !== null && done < total) {
    throw new Transient(`the connection ended after ${done} of ${total} bytes`, null, advance(reach, done));
  }
  return done;
}

async function once(reach: Reach, options: DownloadOptions): Promise<void> {
  const part = `${options.destination}.part`;
  const { url, signal } = options;
  const had = await findPart(part, url, limitOf(options), options.sha256 !== undefined);
  const hash = createHash("sha256");
  let done = had.offset;
  if (had.offset > 0) await feed(hash, part, signal);
  if (had.offset === 0 || had.offset !== options.bytes) {
    const headers: Record<string, string> = { ...options.headers };
    if (had.offset > 0) headers["range"] = `bytes=${had.offset}-`;
    if (had.offset > 0 && had.validator !== null) headers["if-range"] = had.validator;
    const exchange = await request(url, { headers, signal, patience: options.patience });
    try {
      if (exchange.response.status === 416) {
        await discardPart(part);
        throw new Transient("the file at the server has changed");
      }
      requireStatus(exchange, had.offset > 0 ? [200, 206] : [200], options.what);
      const { offset, total } = placeBody(exchange.response, had.offset);
      if (total !== null && options.bytes !== undefined && total !== options.bytes) {
        await discardPart(part);
        throw new DsError(
          "io",
          `Cannot use ${
            withoutSecrets(url)
          } for ${options.what}: it has ${total} bytes where ${options.bytes} are needed`,
        );
      }
      if (offset === 0) {
        await discardPart(part);
        await notePart(part, url, exchange.response);
      }
      const fresh = offset === had.offset ? hash : createHash("sha256");
      done = await receive(part, { exchange, offset, total }, fresh, reach, options);
      await check(part, fresh, done, had.offset > 0 && offset > 0, options);
    } finally {
      await exchange.end();
    }
  } else await check(part, hash, done, true, options);
  await rename(part, options.destination).catch((error) => {
    throw cannotWrite(options.destination, error);
  });
  await rm(`${part}.json`, { force: true });
  await syncFolder(dirname(options.destination));
}

async function check(
  part: string,
  hash: Hash,
  done: number,
  resumed: boolean,
  options: DownloadOptions,
): Promise<void> {
  const found = hash.digest("hex");
  const sizeFits = options.bytes === undefined || options.bytes === done;
  if (sizeFits && (options.sha256 === undefined || options.sha256 === found)) return;
  await discardPart(part);
  // Pieces of two versions: one more try, from the start.
  if (resumed) throw new Transient("the part kept from an earlier try does not fit the rest");
  throw new DsError(
    "io",
    `Cannot use ${withoutSecrets(options.url)} for ${options.what}: ` +
      (sizeFits
        ? `its sha256 is ${found} where ${options.sha256} is needed`
        : `it has ${done} bytes where ${options.bytes} are needed`),
  );
}

/**
 * Fetches a URL into a file that appears only when it is whole and its size and hash are right. Goes on where an
 * earlier call stopped, if the server's file is still the same. Callers hold a lock on `destination`.
 *
 * @throws {DsError} kind "missing-input" where the server does not give the file, "io" where what it gives is wrong or
 * the disk fails; the signal's reason when aborted
 */
export async function download(options: DownloadOptions): Promise<void> {
  const what = `${options.what} from ${withoutSecrets(options.url)}`;
  const reach: Reach = { bytes: 0 };
  await withRetries(what, options.patience, options.signal, () => once(reach, options));
}
