import type {
  AttendOptions,
  AttendSelectedOptions,
  Backend,
  DeviceInfo,
  ForcedTokens,
  HeadCounts,
  LayerCache,
  Rehearsal,
  RopeOptions,
  Scores,
  Selection,
  StepRows,
  Tensor,
  TensorSpec,
} from "../../core/backend.ts";
import { rehearsalOf } from "../../core/rehearsal.ts";
import { add } from "./add.ts";
import { appendKv } from "./append_kv.ts";
import { argmax } from "./argmax.ts";
import { attend } from "./attend.ts";
import { attendSelected } from "./attend_selected.ts";
import { embed } from "./embed.ts";
import { fetchRows } from "./fetch_rows.ts";
import { gatherRows } from "./gather_rows.ts";
import { linear } from "./linear.ts";
import { linearExperts } from "./linear_experts.ts";
import { ARENA_BYTES, Memory } from "./memory.ts";
import { compileKernels, type Kernels } from "./module.ts";
import { Pool } from "./pool.ts";
import { Queue } from "./queue.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rope } from "./rope.ts";
import { routeExperts } from "./route_experts.ts";
import { scoreLabels } from "./score_labels.ts";
import { selectTokens } from "./select_tokens.ts";
import { swiglu } from "./swiglu.ts";
import { cpu } from "./tensor.ts";
import { heldBytes, readTensor, writeTensor } from "./transfer.ts";
import { chooseVariants, type Variants } from "./variants.ts";

export interface CpuOptions {
  /** Main memory of the machine; null: unknown, no bound. */
  readonly memoryBytes?: number | null;
  /** Threads in all; default: one per core. */
  readonly threads?: number | null;
  /** False: leave relaxed SIMD alone even where the engine has it. */
  readonly relaxed?: boolean;
  /** Largest WebAssembly memory; tests ask for small ones. */
  readonly arenaBytes?: number;
}

/**
 * WebAssembly SIMD kernels on all cores. Ops are queued and run together, every thread a share of each; results do not
 * depend on the number of threads, on the runtime, nor on which of a kernel's variants was the fastest here.
 */
export class CpuBackend implements Backend {
  readonly name = "cpu";
  readonly device: DeviceInfo;
  readonly clock = null;
  private readonly memory: Memory;
  private readonly pool: Pool;
  private readonly queue: Queue;
  private readonly variants: Variants;

  /** @param pool its threads started */
  constructor(kernels: Kernels, memory: Memory, pool: Pool) {
    const { threads } = pool;
    this.memory = memory;
    this.pool = pool;
    this.queue = new Queue(pool, memory.arenas);
    this.variants = chooseVariants(kernels.isRelaxed, this.queue, this.memory);
    this.device = {
      name: `${runtimeName()}, WebAssembly SIMD${kernels.isRelaxed ? " (relaxed)" : ""}, ${threads} ${
        threads === 1 ? "thread" : "threads"
      }`,
      memoryBytes: memory.mostBytes,
      mostTensorBytes: memory.mostTensorBytes,
      weightDtypes: ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q4_k", "q6_k"],
      otherWeights: "q8_0",
      kvDtypes: ["f16", "bf16", "f32"],
    };
  }

  footprint(spec: TensorSpec): number {
    return heldBytes(spec);
  }

  rehearse(): Rehearsal {
    return rehearsalOf({
      name: this.name,
      device: this.device,
      footprint: (spec) => this.footprint(spec),
    });
  }

  alloc(spec: TensorSpec): Tensor {
    return this.memory.alloc(spec, heldBytes(spec), () => this.queue.flush());
  }

  upload(dst: Tensor, data: Uint8Array, byteOffset = 0): void {
    const tensor = cpu(dst);
    if (tensor.isQueued) this.queue.flush();
    writeTensor(this.queue, tensor, data, byteOffset);
  }

  download(
    src: Tensor,
    byteOffset = 0,
    byteLength = src.byteLength - byteOffset,
  ): Promise<Uint8Array<ArrayBuffer>> {
    this.queue.flush();
    return Promise.resolve(readTensor(cpu(src), byteOffset, byteLength));
  }

  free(tensor: Tensor): void {
    this.memory.released(cpu(tensor));
    this.queue.drop(cpu(tensor));
  }

  beginStep(rows: StepRows): void {
    this.queue.beginStep(rows);
  }

  submit(): void {
    this.queue.flush();
  }

  synchronize(): Promise<void> {
    this.queue.flush();
    return Promise.resolve();
  }

  close(): Promise<void> {
    return this.pool.close();
  }

  embed(out: Tensor, table: Tensor): void {
    embed(this.queue, cpu(out), cpu(table));
  }

  gatherRows(out: Tensor, x: Tensor, indices: Tensor): void {
    gatherRows(this.queue, cpu(out), cpu(x), cpu(indices));
  }

  rmsNorm(out: Tensor, x: Tensor, weight: Tensor, epsilon: number): void {
    rmsNorm(this.queue, cpu(out), cpu(x), cpu(weight), epsilon);
  }

  linear(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, column = 0): void {
    linear(this.queue, this.variants, cpu(out), cpu(x), cpu(weight), bias && cpu(bias), column);
  }

  rope(qkv: Tensor, table: Tensor, heads: HeadCounts, options: RopeOptions = {}): void {
    rope(this.queue, cpu(qkv), cpu(table), heads, options);
  }

  swiglu(out: Tensor, gateUp: Tensor): void {
    swiglu(this.queue, cpu(out), cpu(gateUp));
  }

  add(x: Tensor, y: Tensor): void {
    add(this.queue, cpu(x), cpu(y));
  }

  argmax(token: Tensor, logits: Tensor): void {
    argmax(this.queue, cpu(token), cpu(logits));
  }

  routeExperts(experts: Tensor, mix: Tensor, logits: Tensor, renormalise: boolean): void {
    routeExperts(this.queue, cpu(experts), cpu(mix), cpu(logits), renormalise);
  }

  linearExperts(out: Tensor, x: Tensor, weight: Tensor, experts: Tensor, mix: Tensor | null): void {
    linearExperts(this.queue, this.variants, cpu(out), cpu(x), cpu(weight), cpu(experts), mix && cpu(mix));
  }

  appendKv(cache: LayerCache, qkv: Tensor): void {
    appendKv(this.queue, cache, cpu(qkv));
  }

  attend(out: Tensor, qkv: Tensor, cache: LayerCache, options: AttendOptions): void {
    attend(this.queue, cpu(out), cpu(qkv), cache, options);
  }

  scoreLabels(scores: Scores, qkv: Tensor, cache: LayerCache): void {
    scoreLabels(this.queue, this.variants, scores, cpu(qkv), cache);
  }

  selectTokens(selection: Selection, scores: Scores, heavyTokens: Tensor, forced: ForcedTokens): void {
    selectTokens(this.queue, selection, scores, cpu(heavyTokens), forced);
  }

  attendSelected(
    out: Tensor,
    qkv: Tensor,
    cache: LayerCache,
    selection: Selection,
    options: AttendSelectedOptions,
  ): void {
    attendSelected(this.queue, cpu(out), cpu(qkv), cache, selection, options);
  }

  fetchRows(staging: Tensor, cache: LayerCache, selection: Selection): Promise<void> {
    fetchRows(this.queue, cpu(staging), cache, selection);
    return Promise.resolve();
  }
}

/** @throws {DsError} kind "backend-unavailable" */
export async function openCpu(options: CpuOptions = {}): Promise<Backend> {
  const { memoryBytes = null, relaxed = true, arenaBytes = ARENA_BYTES } = options;
  const threads = options.threads ?? Math.max(1, globalThis.navigator?.hardwareConcurrency ?? 1);
  const kernels = compileKernels(relaxed);
  const memory = new Memory(memoryBytes, arenaBytes);
  const pool = new Pool(kernels.module, memory.arenas, threads);
  try {
    await pool.started();
    return new CpuBackend(kernels, memory, pool);
  } catch (error) {
    await pool.close();
    throw error;
  }
}

/** "Deno 2.9.6": all three runtimes say so in the web's standard place. */
function runtimeName(): string {
  return (globalThis.navigator?.userAgent ?? "JavaScript").replace("/", " ");
}
