import { ByteWriter } from "./byte_writer.ts";

/** A metadata value with its type in the file. */
export type GgufItem =
  | { readonly type: "u32" | "i32" | "f32" | "u64"; readonly value: number | bigint }
  | { readonly type: "bool"; readonly value: boolean }
  | { readonly type: "string"; readonly value: string }
  | { readonly type: "strings"; readonly value: readonly string[] }
  | { readonly type: "floats" | "ints"; readonly value: readonly number[] }
  | { readonly type: "raw"; readonly typeNumber: number; readonly bytes: Uint8Array };

export interface GgufTensorItem {
  readonly name: string;
  /** [rows, columns] or [columns]; written in the file's reversed order. */
  readonly shape: readonly (number | bigint)[];
  /** The file's number of the type: 0 f32, 1 f16, 2 q4_0, ... */
  readonly type: number;
  readonly bytes: Uint8Array;
  /** In place of the next aligned offset. */
  readonly offset?: number | bigint;
}

export interface GgufPlan {
  readonly magic?: string;
  readonly version?: number;
  readonly alignment?: number;
  readonly tensorCount?: number | bigint;
  readonly metadataCount?: number | bigint;
  readonly metadata: readonly (readonly [string, GgufItem])[];
  readonly tensors: readonly GgufTensorItem[];
}

export function ggufFile(plan: GgufPlan): Uint8Array<ArrayBuffer> {
  const { magic = "GGUF", version = 3, alignment = 32, metadata, tensors } = plan;
  const file = new ByteWriter().bytes(new TextEncoder().encode(magic)).u32(version);
  file.u64(plan.tensorCount ?? tensors.length).u64(plan.metadataCount ?? metadata.length);
  for (const [key, item] of metadata) writeItem(writeString(file, key), item);
  const data = new ByteWriter();
  for (const tensor of tensors) {
    data.padTo(alignment);
    writeString(file, tensor.name).u32(tensor.shape.length);
    for (const size of [...tensor.shape].reverse()) file.u64(size);
    file.u32(tensor.type).u64(tensor.offset ?? data.length);
    data.bytes(tensor.bytes);
  }
  return file.padTo(alignment).bytes(data.done()).done();
}

function writeString(file: ByteWriter, text: string): ByteWriter {
  const bytes = new TextEncoder().encode(text);
  return file.u64(bytes.length).bytes(bytes);
}

function writeItem(file: ByteWriter, item: GgufItem): void {
  switch (item.type) {
    case "u32":
      file.u32(4).u32(Number(item.value));
      return;
    case "i32":
      file.u32(5).i32(Number(item.value));
      return;
    case "f32":
      file.u32(6).f32(Number(item.value));
      return;
    case "bool":
      file.u32(7).u8(item.value ? 1 : 0);
      return;
    case "string":
      writeString(file.u32(8), item.value);
      return;
    case "u64":
      file.u32(10).u64(item.value);
      return;
    case "strings":
      file.u32(9).u32(8).u64(item.value.length);
      for (const text of item.value) writeString(file, text);
      return;
    case "floats":
      file.u32(9).u32(6).u64(item.value.length).floats(item.value);
      return;
    case "ints":
      file.u32(9).u32(5).u64(item.value.length);
      for (const value of item.value) file.i32(value);
      return;
    case "raw":
      file.u32(item.typeNumber).bytes(item.bytes);
  }
}
