import { type BackendName, backendStatus, openBackend, type OpenOptions } from "../backends/mod.ts";
import type { Backend } from "../core/backend.ts";
import { CEILING_BYTES, measureCeiling } from "../core/bench/ceiling.ts";
import type { BenchRow } from "../core/bench/row.ts";
import { describeRuntime } from "../runtime/machine.ts";
import { openAttentionKind } from "./bench_attention.ts";
import { openDecodeKind } from "./bench_decode.ts";
import { deviceMemory } from "./bench_memory.ts";
import { openPrefillKind } from "./bench_prefill.ts";
import { type BenchDevice, benchRecord } from "./bench_record.ts";
import { sampleOptions } from "./bench_run.ts";
import { csvText, rowsTable } from "./bench_table.ts";
import { jsonLine } from "./json.ts";
import { digits } from "./numbers.ts";
import { requireThreads } from "./open_run.ts";
import type { BenchOptions } from "./options/bench.ts";
import type { Terminal } from "./terminal.ts";

const KINDS = { attention: openAttentionKind, decode: openDecodeKind, prefill: openPrefillKind };

/**
 * `ds bench`: times what it was asked for on each backend, beside the bandwidth of that device. Where it is interrupted,
 * the table of what was measured is printed still.
 */
export async function benchCommand(options: BenchOptions, terminal: Terminal): Promise<void> {
  const kind = await KINDS[options.kind](options, terminal);
  const backends: Backend[] = [];
  const devices: BenchDevice[] = [];
  const rows: BenchRow[] = [];
  try {
    // All of them and all of their memory first: nobody waits for minutes to read that the last cannot run.
    await openAll(options, backends);
    for (const backend of backends) kind.check(backend);
    for (const backend of backends) {
      const device = await benchDevice(backend, options, terminal);
      devices.push(device);
      await kind.measure(backend, device.ceiling, (row) => rows.push(row));
    }
  } finally {
    if (!terminal.json && rows.length > 0) {
      terminal.out(options.csv ? csvText(rows) : rowsTable(devices, rows));
    }
    for (const backend of backends) await backend.close();
    await kind.close();
  }
  if (terminal.json) terminal.out(jsonLine(benchRecord(options, devices, rows)));
}

async function openAll(
  { backends, threads, cudaLibrary }: BenchOptions,
  opened: Backend[],
): Promise<void> {
  const { freeMemory: memoryBytes, cpus } = describeRuntime();
  const options = { memoryBytes, threads: threads ?? cpus, ...(cudaLibrary !== null && { cudaLibrary }) };
  const names = backends.length > 0 ? backends as readonly BackendName[] : await workingBackends(options);
  if (threads !== null) requireThreads(threads, names);
  for (const name of names) opened.push(await openBackend(name, options));
}

/** The reference backend and GPUs in software are no contenders: they are measured where they were named, the former also where it is all there is. */
async function workingBackends(options: OpenOptions): Promise<BackendName[]> {
  const statuses = await backendStatus({ ...options, software: false });
  const working = statuses.filter(({ available }) => available).map(({ name }) => name);
  const contenders = working.filter((name) => name !== "reference");
  return contenders.length > 0 ? contenders : working;
}

async function benchDevice(
  backend: Backend,
  options: BenchOptions,
  terminal: Terminal,
): Promise<BenchDevice> {
  const bar = terminal.progress(`${backend.name}: copy bandwidth`, options.samples, "samples");
  try {
    const size = Math.min(CEILING_BYTES, 2 ** Math.floor(Math.log2(deviceMemory(backend) / 8)));
    const timing = sampleOptions(options, terminal, (done, total) => bar.update(done, total));
    const ceiling = await measureCeiling(backend, timing, size);
    const { cpuModel, cpus } = describeRuntime();
    bar.end();
    terminal.note(
      `${backend.name}: ${backend.device.name}; copies move ${digits(ceiling.gigabytesPerSecond, 3)} GB/s`,
    );
    return {
      backend: backend.name,
      name: backend.device.name,
      host: `${cpuModel}, ${cpus} processors`,
      ceiling,
    };
  } finally {
    bar.end();
  }
}
