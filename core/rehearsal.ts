import type { Backend, DeviceInfo, HeldBytes, Rehearsal, Tensor, TensorSpec } from "./backend.ts";
import { bytesOf } from "./dtype.ts";

/** A rehearsal that counts tensors by `footprint`: for backends whose ops need no memory of their own worth counting. */
export function rehearsalOf({ name, device, footprint }: CountedDevice): Rehearsal {
  const backend = new CountingBackend({ name, device, footprint });
  return { backend, held: () => backend.heldBytes };
}

export type CountedDevice = Pick<Backend, "name" | "device" | "footprint">;

/** Counts tensors; its ops do nothing. */
class CountingBackend implements Backend {
  readonly name: string;
  readonly device: DeviceInfo;
  readonly clock = null;
  readonly footprint: Backend["footprint"];
  private tensors = 0;
  private most = 0;

  constructor({ name, device, footprint }: CountedDevice) {
    this.name = name;
    this.device = device;
    this.footprint = footprint;
  }

  get heldBytes(): HeldBytes {
    return { tensors: this.tensors, workspace: 0, most: this.most };
  }

  alloc(spec: TensorSpec): Tensor {
    this.tensors += this.footprint(spec);
    this.most = Math.max(this.most, this.tensors);
    const { dtype, shape, place = "device" } = spec;
    const columns = shape[shape.length - 1]!;
    const rows = shape.slice(0, -1).reduce((count, size) => count * size, 1);
    return { dtype, shape, place, byteLength: rows * bytesOf(dtype, columns) };
  }

  free(tensor: Tensor): void {
    this.tensors -= this.footprint(tensor);
  }

  download(
    src: Tensor,
    byteOffset = 0,
    byteLength = src.byteLength - byteOffset,
  ): Promise<Uint8Array<ArrayBuffer>> {
    return Promise.resolve(new Uint8Array(byteLength));
  }

  synchronize(): Promise<void> {
    return Promise.resolve();
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  fetchRows(): Promise<void> {
    return Promise.resolve();
  }

  rehearse(): Rehearsal {
    return rehearsalOf(this);
  }

  upload(): void {}
  beginStep(): void {}
  submit(): void {}
  embed(): void {}
  gatherRows(): void {}
  rmsNorm(): void {}
  linear(): void {}
  rope(): void {}
  swiglu(): void {}
  add(): void {}
  argmax(): void {}
  routeExperts(): void {}
  linearExperts(): void {}
  appendKv(): void {}
  attend(): void {}
  scoreLabels(): void {}
  selectTokens(): void {}
  attendSelected(): void {}
}
