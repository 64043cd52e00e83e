import { readFileSync } from "node:fs";
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from "node:os";

export interface RuntimeFacts {
  /** "Deno 2.9.6", "Bun 1.4.5" or "Node 24.1.0". */
  readonly runtime: string;
  readonly os: string;
  readonly arch: string;
  readonly cpuModel: string;
  /** Processors this process may use: affinity and a container's share counted. */
  readonly cpus: number;
  /** Bytes this process may use at most: the machine's memory or a container's limit. */
  readonly totalMemory: number;
  /** Bytes that can be had now without swapping. */
  readonly freeMemory: number;
}

interface OtherRuntimes {
  readonly Deno?: { readonly version?: { readonly deno?: string } };
  readonly Bun?: { readonly version?: string; readonly gc?: (wait: boolean) => void };
}

/** Name and version of the JavaScript runtime. */
export function runtimeName(): string {
  const { Deno, Bun } = globalThis as OtherRuntimes;
  if (Deno?.version?.deno !== undefined) return `Deno ${Deno.version.deno}`;
  if (Bun?.version !== undefined) return `Bun ${Bun.version}`;
  return `Node ${process.versions.node}`;
}

function readText(path: string): string | null {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return null;
  }
}

/** The control group folders that bind this process, innermost first; empty outside Linux's cgroup version 2. */
function controlGroups(): string[] {
  const line = /^0::(\/.*)$/m.exec(readText("/proc/self/cgroup") ?? "");
  if (line === null) return [];
  const folders: string[] = [];
  for (let path = line[1]!.replace(/\/+$/, ""); path !== ""; path = path.slice(0, path.lastIndexOf("/"))) {
    folders.push(`/sys/fs/cgroup${path}`);
  }
  return [...folders, "/sys/fs/cgroup"];
}

/** A positive count of a control file; null where it says "max" or is not there. */
function countIn(path: string): number | null {
  const text = readText(path)?.trim() ?? "";
  const value = Number(text);
  return text !== "" && Number.isFinite(value) && value >= 0 && value < 2 ** 60 ? value : null;
}

interface MemoryShare {
  readonly limit: number;
  readonly left: number;
}

function memoryShares(): MemoryShare[] {
  const shares: MemoryShare[] = [];
  for (const folder of controlGroups()) {
    const limit = countIn(`${folder}/memory.max`);
    const used = countIn(`${folder}/memory.current`);
    if (limit === null || used === null) continue;
    // File pages in the page cache are given up when memory is needed.
    const cached = /^inactive_file (\d+)$/m.exec(readText(`${folder}/memory.stat`) ?? "");
    shares.push({ limit, left: Math.max(0, limit - used + Number(cached?.[1] ?? 0)) });
  }
  const first = "/sys/fs/cgroup/memory";
  const limit = countIn(`${first}/memory.limit_in_bytes`);
  const used = countIn(`${first}/memory.usage_in_bytes`);
  if (limit !== null && used !== null) shares.push({ limit, left: Math.max(0, limit - used) });
  return shares;
}

function availableMemory(): number {
  const line = /^MemAvailable:\s+(\d+) kB$/m.exec(readText("/proc/meminfo") ?? "");
  return line === null ? freemem() : Number(line[1]) * 1024;
}

function processors(): number {
  let count = Math.max(1, availableParallelism());
  for (const folder of controlGroups()) {
    const [quota, period] = (readText(`${folder}/cpu.max`)?.trim() ?? "").split(" ").map(Number);
    if (quota !== undefined && period !== undefined && quota > 0 && period > 0) {
      count = Math.min(count, Math.max(1, Math.ceil(quota / period)));
    }
  }
  return count;
}

/** What this process runs on, containers' limits counted. Costs a few small file reads. */
export function describeRuntime(): RuntimeFacts {
  const shares = memoryShares();
  return {
    runtime: runtimeName(),
    os: `${platform()} ${release()}`,
    arch: arch(),
    cpuModel: cpus()[0]?.model.trim() || "unknown",
    cpus: processors(),
    totalMemory: Math.min(totalmem(), ...shares.map((share) => share.limit)),
    freeMemory: Math.min(availableMemory(), ...shares.map((share) => share.left)),
  };
}

const GIVE_BACK_MS = 400;

/** Bytes of main memory that this process holds now: its runtime, code, heap and threads. */
export async function residentBytes(): Promise<number> {
  const { Bun } = globalThis as OtherRuntimes;
  // Bun gives back what it collected, a moment later; in the others memory stays as large as it once was.
  if (Bun?.gc !== undefined) {
    Bun.gc(true);
    await new Promise((resolve) => setTimeout(resolve, GIVE_BACK_MS));
  }
  return process.memoryUsage().rss;
}

export interface CopyOptions {
  /** Size of each of the two buffers; below some 100 MB caches answer in place of memory. */
  readonly bytes?: number;
  readonly runs?: number;
}

/**
 * Bytes per second one thread moves between two large buffers, **read and written bytes both counted**: the median of
 * several runs after two warm-ups. It is the ceiling of one thread's copy; several threads together, or a kernel that
 * only reads, may exceed it. Takes 512 MB and about a second with the defaults.
 */
export function copyBandwidth(options: CopyOptions = {}): number {
  const { bytes = 2 ** 28, runs = 7 } = options;
  if (!Number.isSafeInteger(bytes) || bytes < 1 || bytes > 2 ** 30) {
    throw new RangeError(
      `Cannot measure copying as bytes must be an integer from 1 to ${2 ** 30}: found ${bytes}`,
    );
  }
  if (!Number.isSafeInteger(runs) || runs < 1 || runs > 1000) {
    throw new RangeError(`Cannot measure copying as runs must be an integer from 1 to 1000: found ${runs}`);
  }
  const source = new Uint8Array(bytes).fill(1);
  const target = new Uint8Array(bytes).fill(2);
  const seconds: number[] = [];
  for (let run = -2; run < runs; run++) {
    const start = performance.now();
    target.set(source);
    const end = performance.now();
    if (run >= 0) seconds.push(Math.max((end - start) / 1000, 1e-7));
  }
  seconds.sort((a, b) => a - b);
  return 2 * bytes / seconds[seconds.length >> 1]!;
}
