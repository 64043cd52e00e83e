import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm, rmdir, stat, unlink, utimes, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { DsError } from "../core/errors.ts";
import { cannotWrite, errorCode } from "./failures.ts";
import { isRunning, processStart, processWorld } from "./process_identity.ts";

export interface LockOptions {
  /** How long to wait for another holder; 0, the default, refuses at once. */
  readonly waitMs?: number;
  readonly signal?: AbortSignal | undefined;
}

interface Holder {
  readonly pid: number;
  /** When that process began, in the system's own notation; tells a reused number from the process itself. */
  readonly start: string | null;
  /** Which machine, boot and process namespace `pid` belongs to. */
  readonly world: string;
  readonly host: string;
  readonly token: string;
}

const HEARTBEAT_MS = 10_000;
/** A lock of another machine counts as left behind when its holder has not touched it for so long. */
const SILENT_MS = 120_000;
/** Taking over a dead holder's lock lasts milliseconds; a guard this old was left by a crash. */
const GUARD_MS = 10_000;

async function readHolder(path: string): Promise<Holder | "unreadable" | null> {
  try {
    const found = JSON.parse(await readFile(path, "utf8")) as Partial<Holder>;
    const whole = Number.isSafeInteger(found.pid) && typeof found.world === "string" &&
      typeof found.token === "string";
    return whole ? found as Holder : "unreadable";
  } catch (error) {
    return errorCode(error) === "ENOENT" ? null : "unreadable";
  }
}

async function silentFor(path: string): Promise<number> {
  return await stat(path).then((facts) => Date.now() - facts.mtimeMs, () => 0);
}

async function isStale(path: string, holder: Holder | "unreadable"): Promise<boolean> {
  if (holder === "unreadable") return await silentFor(path) > GUARD_MS;
  if (holder.world !== await processWorld()) return await silentFor(path) > SILENT_MS;
  if (!isRunning(holder.pid)) return true;
  const start = await processStart(holder.pid);
  return holder.start !== null && start !== null && start !== holder.start;
}

/** Removes a dead holder's lock; the guard folder keeps a second cleaner from removing the next holder's. */
async function removeStale(path: string): Promise<void> {
  const guard = `${path}.takeover`;
  try {
    await mkdir(guard);
  } catch {
    if (await silentFor(guard) > GUARD_MS) await rmdir(guard).catch(() => {});
    return;
  }
  try {
    const holder = await readHolder(path);
    if (holder !== null && await isStale(path, holder)) await unlink(path);
  } finally {
    await rmdir(guard).catch(() => {});
  }
}

/** Creates the lock with its content in one act; false where it is held. */
async function claim(path: string, holder: Holder): Promise<boolean> {
  const text = JSON.stringify(holder);
  const draft = `${path}.${holder.token}.tmp`;
  try {
    await writeFile(draft, text, { flag: "wx" });
    await link(draft, path);
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    if (!["EPERM", "ENOSYS", "ENOTSUP", "EOPNOTSUPP", "EMLINK"].includes(errorCode(error) ?? "")) throw error;
  } finally {
    await rm(draft, { force: true }).catch(() => {});
  }
  // A file system without hard links.
  try {
    const handle = await open(path, "wx");
    try {
      await handle.writeFile(text);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (errorCode(error) === "EEXIST") return false;
    throw error;
  }
}

export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener("abort", finish);
      resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener("abort", finish);
  });
  signal?.throwIfAborted();
}

async function acquire(path: string, target: string, options: LockOptions): Promise<Holder> {
  const holder: Holder = {
    pid: process.pid,
    start: await processStart(process.pid),
    world: await processWorld(),
    host: hostname(),
    token: randomBytes(8).toString("hex"),
  };
  const giveUp = performance.now() + (options.waitMs ?? 0);
  for (let tries = 0;; tries++) {
    options.signal?.throwIfAborted();
    try {
      if (await claim(path, holder)) return holder;
    } catch (error) {
      throw cannotWrite(path, error);
    }
    const other = await readHolder(path);
    if (other === null) continue;
    const stale = await isStale(path, other);
    if (stale) await removeStale(path);
    // A few quick tries see a stale lock's removal through; the rest is waiting.
    if (performance.now() < giveUp || (stale && tries < 50)) {
      await pause(stale ? 20 : 200, options.signal);
      continue;
    }
    const who = other === "unreadable" ? "another process" : `process ${other.pid} on ${other.host}`;
    throw new DsError(
      "locked",
      `Cannot work on ${target}: ${who} is doing so; wait for it to end, or remove ${path} if it no longer runs`,
    );
  }
}

/**
 * Runs `work` while holding `path.lock`, so that two processes do not write one target. A lock whose process has
 * ended is taken over.
 *
 * @throws {DsError} kind "locked" where another process holds it, "cannot-create" where the lock cannot be made
 */
export async function withLock<T>(
  path: string,
  work: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const lock = `${path}.lock`;
  const holder = await acquire(lock, path, options);
  const heartbeat = setInterval(() => {
    const now = new Date();
    utimes(lock, now, now).catch(() => {});
  }, HEARTBEAT_MS);
  heartbeat.unref();
  try {
    return await work();
  } finally {
    clearInterval(heartbeat);
    const current = await readHolder(lock);
    if (current !== null && current !== "unreadable" && current.token === holder.token) {
      await unlink(lock).catch(() => {});
    }
  }
}
