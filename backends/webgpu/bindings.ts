import type { DeviceBuffer } from "./buffers.ts";
import type { Kernel } from "./kernels.ts";

/** Most parameter blocks kept; a model's steps use some hundred. */
const MOST_BLOCKS = 4096;
const UNIFORM = 0x40 | 0x8; // GPUBufferUsage.UNIFORM | COPY_DST

interface ParameterBlock {
  readonly id: number;
  readonly buffer: GPUBuffer;
}

/** Bind groups and parameter blocks, kept by what they hold: a decode step finds all of its own. */
export class Bindings {
  private readonly device: GPUDevice;
  private readonly groups = new Map<string, GPUBindGroup>();
  private readonly blocks = new Map<string, ParameterBlock>();
  private lastBlock = 0;

  constructor(device: GPUDevice) {
    this.device = device;
  }

  /** Whether the next `group` may throw old parameter blocks away: nothing recorded may need them then. */
  get isFull(): boolean {
    return this.blocks.size >= MOST_BLOCKS;
  }

  /** Binding 0 is the block of `parameters`, where there are any; the buffers follow in order. */
  group(kernel: Kernel, parameters: readonly number[], buffers: readonly DeviceBuffer[]): GPUBindGroup {
    const block = parameters.length === 0 ? null : this.block(parameters);
    const key = `${kernel.id} ${block?.id ?? ""} ${buffers.map(({ id }) => id).join()}`;
    let group = this.groups.get(key);
    if (group === undefined) {
      const held = [...(block === null ? [] : [block.buffer]), ...buffers.map(({ gpu }) => gpu)];
      group = this.device.createBindGroup({
        label: kernel.name,
        layout: kernel.layout,
        entries: held.map((buffer, binding) => ({ binding, resource: { buffer } })),
      });
      this.groups.set(key, group);
      for (const buffer of buffers) buffer.groups.push(key);
    }
    return group;
  }

  /** Drops the groups that hold a buffer. */
  forget(buffer: DeviceBuffer): void {
    for (const key of buffer.groups) this.groups.delete(key);
    buffer.groups.length = 0;
  }

  private block(parameters: readonly number[]): ParameterBlock {
    const key = parameters.join();
    let block = this.blocks.get(key);
    if (block === undefined) {
      if (this.isFull) this.drop();
      const words = new Uint32Array(4 * Math.ceil(parameters.length / 4));
      words.set(parameters);
      const buffer = this.device.createBuffer({ size: words.byteLength, usage: UNIFORM });
      this.device.queue.writeBuffer(buffer, 0, words);
      this.blocks.set(key, block = { id: ++this.lastBlock, buffer });
    }
    return block;
  }

  private drop(): void {
    for (const { buffer } of this.blocks.values()) buffer.destroy();
    this.blocks.clear();
    this.groups.clear();
  }
}
