import type { HeldBytes, Place, StepRows, TensorSpec } from "../../core/backend.ts";
import type { DType } from "../../core/dtype.ts";
import { type DeviceFacts, readFacts } from "./device_info.ts";
import { faultOf, STATUS } from "./faults.ts";
import type { FunctionName, OpName } from "./functions.ts";
import type { Argument, CudaLibrary } from "./library.ts";

/** In the order of `native/ds.h`. */
const DTYPES: readonly DType[] = [
  "f32",
  "f16",
  "bf16",
  "i32",
  "u32",
  "u8",
  "q8_0",
  "q4_0",
  "q4_1",
  "q4_k",
  "q6_k",
];
const PLACES: readonly Place[] = ["device", "host"];
const FACTS_BYTES = 312;

/**
 * A stream of the library: its functions with what they hand back. Tensors, marks and recordings are numbers.
 *
 * @throws what `faultOf` makes of a status, from every call
 */
export class Stream {
  readonly library: CudaLibrary;
  /** Whether memory is counted alone and ops do nothing: there is nothing to record. */
  readonly isRehearsal: boolean;
  /** 0: closed. */
  private handle: number;
  /** Where the library writes a number of 64 bits, as halves. */
  private readonly halves = new Uint32Array(new ArrayBuffer(8));

  /** @param like the stream whose device this one is a rehearsal on; null: a stream of the first device */
  constructor(library: CudaLibrary, like: Stream | null = null) {
    this.library = library;
    this.isRehearsal = like !== null;
    if (like === null) this.call("open", 0, this.halves);
    else this.call("open_rehearsal", like.handle, this.halves);
    this.handle = this.answer();
  }

  describe(): DeviceFacts {
    const bytes = new Uint8Array(FACTS_BYTES);
    this.call("describe", this.handle, bytes);
    return readFacts(bytes);
  }

  close(): void {
    if (this.handle === 0) return;
    this.call("close", this.handle);
    this.handle = 0;
  }

  /** @returns the kind of the step */
  beginStep({ tokens, slots, positions, homes }: StepRows): number {
    const rows = tokens.length;
    this.call("begin_step", this.handle, rows, tokens, slots, positions, homes, this.halves);
    return this.answer();
  }

  /** @param args what follows the stream */
  run(op: OpName, args: readonly number[]): void {
    const status = this.library.call(op, this.handle, ...args);
    if (status !== STATUS.ok) throw faultOf(status, this.library.lastError());
  }

  recordBegin(): void {
    this.call("record_begin", this.handle);
  }

  recordEnd(): number {
    this.call("record_end", this.handle, this.halves);
    return this.answer();
  }

  replay(recording: number): void {
    this.call("replay", this.handle, recording);
  }

  dropRecording(recording: number): void {
    this.call("drop_recording", this.handle, recording);
  }

  markHere(): number {
    this.call("mark_here", this.handle, this.halves);
    return this.answer();
  }

  /** Resolves when all before the mark is done. */
  async wait(mark: number): Promise<void> {
    const status = await this.library.wait(mark);
    if (status === STATUS.ok) return;
    // What went wrong is told to the thread that asks: asked again, this one hears the same at once.
    this.call("wait", mark);
    throw faultOf(status, "it does not say why");
  }

  dropMark(mark: number): void {
    this.call("drop_mark", this.handle, mark);
  }

  milliseconds(from: number, to: number): number {
    const found = new Float32Array(1);
    this.call("milliseconds", from, to, found);
    return found[0]!;
  }

  footprint({ dtype, shape, place = "device" }: TensorSpec): number {
    const axes = BigInt64Array.from(shape, BigInt);
    this.call("footprint", DTYPES.indexOf(dtype), shape.length, axes, PLACES.indexOf(place), this.halves);
    return this.answer();
  }

  alloc({ dtype, shape, place = "device" }: TensorSpec): number {
    const axes = BigInt64Array.from(shape, BigInt);
    const [type, at] = [DTYPES.indexOf(dtype), PLACES.indexOf(place)];
    this.call("alloc", this.handle, type, shape.length, axes, at, this.halves);
    return this.answer();
  }

  free(tensor: number): void {
    this.call("free", this.handle, tensor);
  }

  clear(tensor: number): void {
    this.call("clear", this.handle, tensor);
  }

  upload(tensor: number, data: Uint8Array, byteOffset: number): void {
    this.call("upload", this.handle, tensor, data, byteOffset, data.byteLength);
  }

  /** @returns the mark to wait for and to take from */
  beginDownload(tensor: number, byteOffset: number, bytes: number): number {
    this.call("begin_download", this.handle, tensor, byteOffset, bytes, this.halves);
    return this.answer();
  }

  /** Drops the mark. @param data of as many bytes as were asked for */
  takeDownload(mark: number, data: Uint8Array): void {
    this.call("take_download", this.handle, mark, data);
  }

  held(): HeldBytes {
    const [tensors, workspace, most] = [0, 0, 0].map(() => new BigInt64Array(1));
    this.call("held", this.handle, tensors!, workspace!, most!);
    return { tensors: Number(tensors![0]), workspace: Number(workspace![0]), most: Number(most![0]) };
  }

  private call(name: FunctionName, ...args: readonly Argument[]): void {
    const status = this.library.call(name, ...args);
    if (status !== STATUS.ok) throw faultOf(status, this.library.lastError());
  }

  private answer(): number {
    return this.halves[0]! + this.halves[1]! * 2 ** 32;
  }
}
