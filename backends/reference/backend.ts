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
import { rmsNorm } from "./rms_norm.ts";
import { rope } from "./rope.ts";
import { routeExperts } from "./route_experts.ts";
import { scoreLabels } from "./score_labels.ts";
import { selectTokens } from "./select_tokens.ts";
import { swiglu } from "./swiglu.ts";
import { floats, heldBytesPerValue, ints, product, ReferenceTensor } from "./tensor.ts";

const NO_ROWS: StepRows = {
  tokens: new Int32Array(0),
  slots: new Int32Array(0),
  positions: new Int32Array(0),
  homes: new Int32Array(0),
};

/**
 * Every op as the plainest loop that can be right: the definition of the contract, and what other backends are held to.
 * An op is done when its call returns; sums run in f64, in a fixed order, and are rounded to f32 where they are stored.
 * The bits are the same on every JavaScript engine. Arguments are not checked: `checked` does that.
 */
export class ReferenceBackend implements Backend {
  readonly name = "reference";
  readonly device: DeviceInfo;
  readonly clock = null;
  private rows: StepRows = NO_ROWS;
  private heldBytes = 0;

  /** @param memoryBytes what the machine has; null: `alloc` refuses only what JavaScript cannot give */
  constructor(memoryBytes: number | null = null) {
    this.device = {
      name: `${runtimeName()}, plain TypeScript`,
      memoryBytes,
      weightDtypes: ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q4_k", "q6_k"],
      kvDtypes: ["f32", "f16", "bf16"],
    };
  }

  footprint(spec: TensorSpec): number {
    return product(spec.shape) * heldBytesPerValue(spec.dtype);
  }

  rehearse(): Rehearsal {
    return rehearsalOf({
      name: this.name,
      device: this.device,
      footprint: (spec) => this.footprint(spec),
    });
  }

  alloc(spec: TensorSpec): Tensor {
    const { memoryBytes } = this.device;
    const tensor = new ReferenceTensor(spec, this.heldBytes, memoryBytes ?? Infinity);
    this.heldBytes += tensor.heldBytes;
    return tensor;
  }

  upload(dst: Tensor, data: Uint8Array, byteOffset = 0): void {
    (dst as ReferenceTensor).write(data, byteOffset);
  }

  download(
    src: Tensor,
    byteOffset = 0,
    byteLength = src.byteLength - byteOffset,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve((src as ReferenceTensor).read(byteOffset, byteLength));
  }

  free(tensor: Tensor): void {
    this.heldBytes -= (tensor as ReferenceTensor).heldBytes;
    (tensor as ReferenceTensor).drop();
  }

  beginStep({ tokens, slots, positions, homes }: StepRows): void {
    this.rows = {
      tokens: tokens.slice(),
      slots: slots.slice(),
      positions: positions.slice(),
      homes: homes.slice(),
    };
  }

  submit(): void {}

  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    this.rows = NO_ROWS;
    return Promise.resolve();
  }

  embed(out: Tensor, table: Tensor): void {
    embed(floats(out), floats(table), this.rows);
  }

  gatherRows(out: Tensor, x: Tensor, indices: Tensor): void {
    gatherRows(floats(out), floats(x), ints(indices));
  }

  rmsNorm(out: Tensor, x: Tensor, weight: Tensor, epsilon: number): void {
    rmsNorm(floats(out), floats(x), floats(weight), epsilon);
  }

  linear(out: Tensor, x: Tensor, weight: Tensor, bias: Tensor | null, column = 0): void {
    linear(floats(out), floats(x), floats(weight), bias && floats(bias), column);
  }

  rope(qkv: Tensor, table: Tensor, heads: HeadCounts, options: RopeOptions = {}): void {
    rope(floats(qkv), floats(table), heads, options, this.rows);
  }

  swiglu(out: Tensor, gateUp: Tensor): void {
    swiglu(floats(out), floats(gateUp));
  }

  add(x: Tensor, y: Tensor): void {
    add(floats(x), floats(y));
  }

  argmax(token: Tensor, logits: Tensor): void {
    argmax(ints(token), floats(logits));
  }

  routeExperts(experts: Tensor, mix: Tensor, logits: Tensor, renormalise: boolean): void {
    routeExperts(ints(experts), floats(mix), floats(logits), renormalise);
  }

  linearExperts(out: Tensor, x: Tensor, weight: Tensor, experts: Tensor, mix: Tensor | null): void {
    linearExperts(floats(out), floats(x), floats(weight), ints(experts), mix && floats(mix));
  }

  appendKv(cache: LayerCache, qkv: Tensor): void {
    appendKv(cache, floats(qkv), this.rows);
  }

  attend(out: Tensor, qkv: Tensor, cache: LayerCache, options: AttendOptions): void {
    attend(floats(out), floats(qkv), cache, options, this.rows);
  }

  scoreLabels(scores: Scores, qkv: Tensor, cache: LayerCache): void {
    scoreLabels(scores, floats(qkv), cache, this.rows);
  }

  selectTokens(selection: Selection, scores: Scores, heavyTokens: Tensor, forced: ForcedTokens): void {
    selectTokens(selection, scores, ints(heavyTokens), forced, this.rows);
  }

  attendSelected(
    out: Tensor,
    qkv: Tensor,
    cache: LayerCache,
    selection: Selection,
    options: AttendSelectedOptions,
  ): void {
    attendSelected(floats(out), floats(qkv), cache, selection, options, this.rows);
  }

  fetchRows(staging: Tensor, cache: LayerCache, selection: Selection): Promise<void> {
    fetchRows(floats(staging), cache, selection, this.rows);
    return Promise.resolve();
  }
}

/** Needs nothing and always works. `memoryBytes` as in {@link ReferenceBackend}. */
export function openReference(memoryBytes: number | null = null): Promise<Backend> {
  return Promise.resolve(new ReferenceBackend(memoryBytes));
}

/** "Deno 2.9.6": all three runtimes say so in the web's standard place. */
function runtimeName(): string {
  const agent = globalThis.navigator?.userAgent ?? "JavaScript";
  return agent.replace("/", " ");
}
