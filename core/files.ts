/**
 * How `core/` reaches files: an injected reader, so that it runs on any runtime and tests can hand it bytes,
 * short reads and faults. `runtime/files.ts` has the one for real disks.
 */
export interface FileSource {
  /** For messages: the path as the user knows it. */
  readonly name: string;
  /** Bytes. */
  readonly size: number;
  /**
   * Exactly `length` bytes from `offset`, at most 1 GiB at once (Bun and WebGPU refuse larger buffers).
   *
   * @param into room for them: what comes back may be a view of it, so that a file read piece by piece leaves nothing behind
   * @throws {DsError} kind "bad-data" where the file is shorter, "io" where reading fails
   */
  read(offset: number, length: number, into?: Uint8Array<ArrayBuffer>): Promise<Uint8Array<ArrayBuffer>>;
  close(): Promise<void>;
}

export interface FileSystem {
  /** @throws {DsError} kind "missing-input" where there is no such regular file, "io" where it cannot be opened */
  open(path: string): Promise<FileSource>;
  kind(path: string): Promise<"file" | "folder" | "other" | "missing">;
  /**
   * The file `name` inside `folder`, symbolic links resolved.
   *
   * @throws {DsError} kind "bad-data" where the resolved path is outside the folder; links into the sibling
   * `blobs` folder of a Hugging Face cache are the one exception
   */
  resolveInside(folder: string, name: string): Promise<string>;
}

/** No single buffer is larger: 4 GiB is Bun's ceiling, 1 GiB what every runtime and device takes. */
export const MAX_BUFFER_BYTES = 2 ** 30;
