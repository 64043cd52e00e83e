import { ByteWriter } from "./byte_writer.ts";

export interface SafetensorsItem {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A valid file, tensors in the given order. */
export function safetensorsFile(items: readonly SafetensorsItem[]): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = { __metadata__: { format: "pt" } };
  const data = new ByteWriter();
  for (const { name, dtype, shape, bytes } of items) {
    header[name] = { dtype, shape, data_offsets: [data.length, data.length + bytes.length] };
    data.bytes(bytes);
  }
  return safetensorsOf(JSON.stringify(header), data.done());
}

/** A file with any header. */
export function safetensorsOf(
  header: string | Uint8Array,
  data: Uint8Array = new Uint8Array(0),
): Uint8Array<ArrayBuffer> {
  const bytes = typeof header === "string" ? new TextEncoder().encode(header) : header;
  return new ByteWriter().u64(bytes.length).bytes(bytes).bytes(data).done();
}
