import { type ChildProcess, spawn } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { OnProgress } from "./download.ts";
import type { Environment } from "./environment.ts";
import { errorCode } from "./failures.ts";
import { withoutSecrets } from "./http.ts";

export interface ToolOptions {
  readonly environment: Environment;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: OnProgress | undefined;
  /** Milliseconds without growth after which a tool is ended. */
  readonly stallMs: number;
}

export type Outcome =
  | { readonly kind: "absent" }
  | { readonly kind: "failed"; readonly reason: string; readonly diskFull: boolean }
  | { readonly kind: "done" };

async function bytesBelow(folder: string, seen = new Set<string>()): Promise<number> {
  let total = 0;
  for (const entry of await readdir(folder, { withFileTypes: true }).catch(() => [])) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) total += await bytesBelow(path, seen);
    if (!entry.isFile()) continue;
    const facts = await stat(path).catch(() => null);
    // uv links files from its cache into place: the same bytes twice.
    if (facts === null || (facts.nlink > 1 && seen.has(`${facts.dev}:${facts.ino}`))) continue;
    seen.add(`${facts.dev}:${facts.ino}`);
    total += facts.size;
  }
  return total;
}

/** The line of a tool's output that says what went wrong, without passwords of index addresses. */
export function lastComplaint(output: string): string {
  // deno-lint-ignore no-control-regex
  const lines = output.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").split(/[\r\n]+/).map((line) => line.trim());
  const shown = lines.filter((line) => line !== "");
  const best = shown.findLast((line) => /no space left/i.test(line)) ??
    shown.findLast((line) => /^(error|×|fatal)/i.test(line)) ?? shown.at(-1) ?? "it said nothing";
  // uv lists causes, the deepest last; pip tells of a lost connection only while it tries again.
  const causes = shown.filter((line) => /^cause: /.test(line)).map((line) => line.slice("cause: ".length));
  const broken = /connection broken by '.*?: ([^:'"]+)['"]/.exec(
    shown.findLast((line) => /^WARNING: Retrying/.test(line)) ?? "",
  );
  const deeper = [...new Set([causes[0], causes.at(-1), broken?.[1]])].filter((text) => text !== undefined);
  return [best, ...deeper].join(": ").replace(/\b[a-z]+:\/\/[^\s'")]+/g, (url) => withoutSecrets(url)).slice(
    0,
    300,
  );
}

const NOT_THERE =
  /No module named pip|command not found|is not recognized|Python was not found|can't find python|no such command/i;

const GROUPS = process.platform !== "win32";

function endGroup(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    if (GROUPS && child.pid !== undefined) process.kill(-child.pid, signal);
    else child.kill(signal);
  } catch {
    // It has ended already.
    child.kill(signal);
  }
}

export function runTool(
  command: string,
  args: readonly string[],
  folder: string,
  options: ToolOptions,
  total: number,
): Promise<Outcome> {
  const { environment, signal, onProgress, stallMs } = options;
  return new Promise((resolve, reject) => {
    let output = "";
    let stalled = false;
    let settled = false;
    const child = spawn(command, args, {
      stdio: ["ignore", "pipe", "pipe"],
      env: environment as NodeJS.ProcessEnv,
      windowsHide: true,
      // A group of its own: version managers put a shell between, which would not hand a signal on.
      detached: GROUPS,
    });
    const keep = (piece: unknown) => {
      output = (output + String(piece)).slice(-65536);
    };
    child.stdout?.on("data", keep);
    child.stderr?.on("data", keep);
    let killer: ReturnType<typeof setTimeout> | undefined;
    const end = () => {
      endGroup(child, "SIGTERM");
      killer = setTimeout(() => endGroup(child, "SIGKILL"), 3000);
    };
    let best = 0;
    let grownAt = performance.now();
    let polling = false;
    const poll = setInterval(async () => {
      if (polling) return;
      polling = true;
      const bytes = await bytesBelow(folder);
      polling = false;
      if (settled) return;
      if (bytes > best) {
        best = bytes;
        grownAt = performance.now();
        onProgress?.(Math.min(best, total), total);
      } else if (performance.now() - grownAt > stallMs && !stalled) {
        stalled = true;
        end();
      }
    }, 150);
    const settle = (act: () => void) => {
      if (settled) return;
      settled = true;
      clearInterval(poll);
      clearTimeout(killer);
      signal?.removeEventListener("abort", end);
      act();
    };
    signal?.addEventListener("abort", end);
    if (signal?.aborted) end();
    child.on("error", (error) => {
      settle(() => {
        const code = errorCode(error);
        if (signal?.aborted) reject(signal.reason);
        else if (code === "ENOENT" || code === "EACCES" || code === "ENOTDIR") resolve({ kind: "absent" });
        else resolve({ kind: "failed", reason: lastComplaint(String(error)), diskFull: false });
      });
    });
    child.on("close", (status) => {
      settle(() => {
        if (signal?.aborted) reject(signal.reason);
        else if (stalled) {
          resolve({ kind: "failed", reason: `nothing came for ${stallMs / 1000} s`, diskFull: false });
        } else if (status === 0) resolve({ kind: "done" });
        else if (status === 127 || status === 9009 || NOT_THERE.test(output)) resolve({ kind: "absent" });
        else {resolve({
            kind: "failed",
            reason: lastComplaint(output),
            diskFull: /no space left/i.test(output),
          });}
      });
    });
  });
}
