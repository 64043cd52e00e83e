import type { StepRows } from "../../core/backend.ts";
import { Bindings } from "./bindings.ts";
import { Buffers, type DeviceBuffer } from "./buffers.ts";
import { TimestampClock } from "./clock.ts";
import { Faults } from "./faults.ts";
import { type Abilities, type Kernel, Kernels } from "./kernels.ts";
import { patiently } from "./patience.ts";
import type { Constants } from "./shaders.ts";

const READBACK = 0x1 | 0x8; // GPUBufferUsage.MAP_READ | COPY_DST
const MAP_READ = 0x1; // GPUMapMode.READ
/** WebGPU's limit of workgroups along one dimension. */
export const MOST_WORKGROUPS = 65535;

/** The rows of a step, as the host and the device know them. */
export interface DeviceRows {
  readonly host: StepRows;
  /** vec4i per row: token, slot, position, home. `rows.wgsl` reads it. */
  readonly buffer: DeviceBuffer;
}

/** Records ops into one compute pass after another and hands them over in order. */
export class Queue {
  readonly device: GPUDevice;
  readonly buffers: Buffers;
  readonly faults: Faults;
  readonly abilities: Abilities;
  /** Null where the device has no time stamps. */
  readonly clock: TimestampClock | null;
  private readonly kernels: Kernels;
  private readonly bindings: Bindings;
  private readonly readbacks: GPUBuffer[] = [];
  private readonly scratches = new Map<string, DeviceBuffer>();
  private encoder: GPUCommandEncoder | null = null;
  private pass: GPUComputePassEncoder | null = null;
  /** Set in `pass`. */
  private passKernel: Kernel | null = null;
  /** The number of the submission being recorded. */
  private submission = 1;
  private stepRows: DeviceRows | null = null;

  constructor(device: GPUDevice, faults: Faults, abilities: Abilities, memoryBytes: number | null) {
    this.device = device;
    this.faults = faults;
    this.abilities = abilities;
    this.clock = device.features.has("timestamp-query")
      ? new TimestampClock(device, () => this.submit())
      : null;
    this.bindings = new Bindings(device);
    this.kernels = new Kernels(device, faults, abilities);
    this.buffers = new Buffers(device, faults, memoryBytes, (buffer) => this.forget(buffer));
  }

  kernel(name: string, constants?: Constants, variants?: Readonly<Record<string, string>>): Kernel {
    return this.kernels.get(name, constants, variants);
  }

  beginStep({ tokens, slots, positions, homes }: StepRows): void {
    const host = {
      tokens: tokens.slice(),
      slots: slots.slice(),
      positions: positions.slice(),
      homes: homes.slice(),
    };
    const T = tokens.length;
    const table = new Int32Array(4 * T);
    for (let t = 0; t < T; t++) table.set([tokens[t]!, slots[t]!, positions[t]!, homes[t]!], 4 * t);
    const buffer = this.scratch(`rows of ${T}`, table.byteLength);
    this.write(buffer, 0, new Uint8Array(table.buffer));
    this.stepRows = { host, buffer };
  }

  get rows(): DeviceRows {
    return this.stepRows!;
  }

  /** A buffer of at least `bytes` that lives as long as the queue; what it held is whatever was last written there. */
  scratch(name: string, bytes: number): DeviceBuffer {
    const known = this.scratches.get(name);
    if (known !== undefined && known.bytes >= bytes) return known;
    if (known !== undefined) this.release(known);
    const { buffer } = this.buffers.take(Math.max(16, Math.ceil(bytes / 4) * 4), `${name}, working memory,`);
    this.scratches.set(name, buffer);
    return buffer;
  }

  /**
   * Enqueues a kernel. Binding 0 is the block of `parameters`, where there are any; the buffers follow in order.
   *
   * @param parameters integers as they are, floats through `floatBits`; laid out as one struct of 32-bit members
   */
  run(
    kernel: Kernel,
    parameters: readonly number[],
    buffers: readonly DeviceBuffer[],
    workgroups: readonly [number, number?, number?],
  ): void {
    const [x, y = 1, z = 1] = workgroups;
    if (x === 0 || y === 0 || z === 0) return;
    for (const buffer of buffers) this.freshen(buffer);
    if (this.bindings.isFull) this.submit();
    const pass = this.computePass();
    if (this.passKernel !== kernel) pass.setPipeline(kernel.pipeline);
    this.passKernel = kernel;
    pass.setBindGroup(0, this.bindings.group(kernel, parameters, buffers));
    pass.dispatchWorkgroups(x, y, z);
    for (const buffer of buffers) buffer.usedIn = this.submission;
  }

  /** What has not been written when it is first used is zero. */
  clear(buffer: DeviceBuffer): void {
    buffer.isStale = true;
  }

  /**
   * Writes now, before whatever is recorded next; what is recorded already and names the buffer goes first.
   *
   * @throws a fault of the device that was heard of already
   */
  write(buffer: DeviceBuffer, offset: number, data: Uint8Array): void {
    this.faults.check();
    if (data.byteLength === buffer.bytes) buffer.isStale = false;
    this.freshen(buffer);
    if (buffer.usedIn === this.submission) this.submit();
    this.device.queue.writeBuffer(buffer.gpu, offset, data as Uint8Array<ArrayBuffer>);
  }

  release(buffer: DeviceBuffer): void {
    this.buffers.give(buffer);
  }

  submit(): void {
    this.endPass();
    if (this.encoder === null) return;
    const commands = this.encoder.finish();
    this.encoder = null;
    this.submission++;
    this.device.queue.submit([commands]);
  }

  /** @throws the first fault of the device so far */
  async synchronize(): Promise<void> {
    this.submit();
    await patiently(() => this.device.queue.onSubmittedWorkDone());
    await this.faults.settle();
  }

  /**
   * The bytes of some pieces of buffers, one after the other, as of this call.
   *
   * @throws the first fault of the device so far
   */
  async read(
    pieces: readonly { readonly buffer: DeviceBuffer; readonly at: number; readonly bytes: number }[],
  ): Promise<Uint8Array<ArrayBuffer>> {
    const total = pieces.reduce((sum, piece) => sum + piece.bytes, 0);
    const target = this.readback(total);
    for (const { buffer } of pieces) this.freshen(buffer);
    this.endPass();
    let at = 0;
    for (const { buffer, at: from, bytes } of pieces) {
      this.commands().copyBufferToBuffer(buffer.gpu, from, target, at, bytes);
      at += bytes;
    }
    this.submit();
    try {
      await patiently(() => target.mapAsync(MAP_READ, 0, Math.max(4, total)));
    } catch (error) {
      await this.faults.settle();
      throw error;
    }
    const copy = new Uint8Array(total);
    copy.set(new Uint8Array(target.getMappedRange(0, Math.max(4, total)), 0, total));
    target.unmap();
    this.readbacks.push(target);
    await this.faults.settle();
    return copy;
  }

  /** Leaves nothing under way: Deno aborts where an isolate ends before a promise of Dawn's is settled. */
  async close(): Promise<void> {
    this.encoder = null;
    this.pass = null;
    await patiently(() => this.faults.settle()).catch(() => {});
    this.faults.closing();
    this.device.destroy();
    await patiently(() => this.device.lost);
  }

  private freshen(buffer: DeviceBuffer): void {
    if (!buffer.isStale) return;
    buffer.isStale = false;
    this.endPass();
    this.commands().clearBuffer(buffer.gpu, 0, buffer.bytes);
    buffer.usedIn = this.submission;
  }

  /** Before a buffer is destroyed: a command that names it could not be submitted any more. */
  private forget(buffer: DeviceBuffer): void {
    if (buffer.usedIn === this.submission) this.submit();
    this.bindings.forget(buffer);
  }

  private readback(bytes: number): GPUBuffer {
    const at = this.readbacks.findIndex(({ size }) => size >= bytes && size <= 4 * bytes + 256);
    if (at >= 0) return this.readbacks.splice(at, 1)[0]!;
    for (const old of this.readbacks.splice(4)) old.destroy();
    return this.device.createBuffer({ size: Math.max(256, bytes), usage: READBACK });
  }

  private commands(): GPUCommandEncoder {
    return this.encoder ??= this.device.createCommandEncoder();
  }

  private computePass(): GPUComputePassEncoder {
    if (this.pass === null) {
      const timestampWrites = this.clock?.timestampWrites;
      this.pass = this.commands().beginComputePass(timestampWrites === undefined ? {} : { timestampWrites });
    }
    return this.pass;
  }

  private endPass(): void {
    this.pass?.end();
    this.pass = null;
    this.passKernel = null;
  }
}

const scratchBits = new DataView(new ArrayBuffer(4));

/** A float among the parameters of a kernel. */
export function floatBits(value: number): number {
  scratchBits.setFloat32(0, value);
  return scratchBits.getUint32(0);
}

/** Workgroups for `count` independent items of any number; `spread.wgsl` gives each its item. */
export function spread(count: number): [number, number] {
  const x = Math.min(count, MOST_WORKGROUPS);
  return [x, Math.ceil(count / Math.max(1, x))];
}
