import { lstatSync, mkdirSync, mkdtempSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { homedir, platform, tmpdir } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { type Environment, setting } from "./environment.ts";
import { cannotWrite } from "./failures.ts";

/** Where ds keeps things of its own; the folders need not be there yet. */
export interface Folders {
  /** What can be fetched or computed again: models, quick calibrations. */
  readonly cache: string;
  /** What the user made: calibrations. */
  readonly data: string;
  /** One sentence for the user where these are not the usual places, else null. */
  readonly note: string | null;
}

/** The home folder, or null where the machine names none (containers with a bare user number). */
export function homeFolder(environment: Environment = process.env): string | null {
  const named = setting(environment, "HOME") ??
    (platform() === "win32" ? setting(environment, "USERPROFILE") : null);
  if (named !== null) return isAbsolute(named) ? named : null;
  if (environment !== process.env) return null;
  try {
    const found = homedir();
    return typeof found === "string" && isAbsolute(found) && found !== "/" ? found : null;
  } catch {
    return null;
  }
}

/** The XDG rules: a relative path counts as unset. */
function xdg(environment: Environment, name: string): string | null {
  const value = setting(environment, name);
  return value !== null && isAbsolute(value) ? join(value, "ds") : null;
}

/** A folder of ours under the shared temporary one; never one that another user put there first. */
function temporaryHome(): string {
  const user = process.getuid?.();
  const path = join(tmpdir(), user === undefined ? "ds" : `ds-${user}`);
  try {
    mkdirSync(path, { mode: 0o700 });
    return path;
  } catch {
    try {
      const facts = lstatSync(path);
      if (facts.isDirectory() && (user === undefined || facts.uid === user)) return path;
    } catch {
      return path;
    }
    return mkdtempSync(`${path}-`);
  }
}

/**
 * `DS_HOME`, else `XDG_CACHE_HOME` and `XDG_DATA_HOME`, else the system's usual places under the home folder; without a
 * home folder, a folder under the temporary one.
 */
export function dsFolders(environment: Environment = process.env, system: string = platform()): Folders {
  const own = setting(environment, "DS_HOME");
  if (own !== null) {
    const root = resolve(own);
    return { cache: join(root, "cache"), data: join(root, "data"), note: null };
  }
  const home = homeFolder(environment);
  const usual = home === null ? null : system === "darwin"
    ? {
      cache: join(home, "Library", "Caches", "ds"),
      data: join(home, "Library", "Application Support", "ds"),
    }
    : system === "win32"
    ? windowsFolders(environment, home)
    : { cache: join(home, ".cache", "ds"), data: join(home, ".local", "share", "ds") };
  const cache = xdg(environment, "XDG_CACHE_HOME") ?? usual?.cache;
  const data = xdg(environment, "XDG_DATA_HOME") ?? usual?.data;
  if (cache !== undefined && data !== undefined) return { cache, data, note: null };
  const root = temporaryHome();
  return {
    cache: cache ?? join(root, "cache"),
    data: data ?? join(root, "data"),
    note:
      `There is no home folder, so ds keeps its files in ${root}, which may not last: set DS_HOME to a folder that does`,
  };
}

function windowsFolders(environment: Environment, home: string): { cache: string; data: string } {
  const local = setting(environment, "LOCALAPPDATA") ?? join(home, "AppData", "Local");
  return { cache: join(local, "ds", "cache"), data: join(local, "ds", "data") };
}

/** Makes a folder of ds and those above it. @throws {DsError} kind "cannot-create" or "io" */
export async function ensureFolder(path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true });
  } catch (error) {
    const refusal = cannotWrite(path, error);
    refusal.message += "; set DS_HOME to a folder that can be written";
    throw refusal;
  }
}
