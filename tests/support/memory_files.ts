import { badData, DsError } from "../../core/errors.ts";
import type { FileSource, FileSystem } from "../../core/files.ts";

/** What a read meets: a file that ends early, or a disk that fails. */
export type ReadFault = "short" | "io";

/**
 * Files in memory, by path with "/" between parts; folders exist where files lie below them. Counts what is open and how
 * much one read asked for, so that tests can see leaks and unbounded allocation.
 */
export class MemoryFiles implements FileSystem {
  /** Reads so far, over all files. */
  reads = 0;
  largestRead = 0;
  openFiles = 0;
  /** Called before each read with its number from 0; what it returns happens instead of the read. */
  faultAt: (read: number, path: string) => ReadFault | null = () => null;
  private readonly contents = new Map<string, Uint8Array<ArrayBuffer>>();
  private readonly links = new Map<string, string>();
  private readonly others = new Set<string>();

  constructor(files: Readonly<Record<string, Uint8Array | string>> = {}) {
    for (const [path, content] of Object.entries(files)) this.write(path, content);
  }

  write(path: string, content: Uint8Array | string): void {
    this.contents.set(
      path,
      typeof content === "string" ? new TextEncoder().encode(content) : content.slice(),
    );
  }

  remove(path: string): void {
    this.contents.delete(path);
  }

  /** The content itself, not a copy. */
  content(path: string): Uint8Array<ArrayBuffer> {
    const content = this.contents.get(path);
    if (content === undefined) throw new RangeError(`Cannot find ${path} among the files in memory`);
    return content;
  }

  link(path: string, target: string): void {
    this.links.set(path, target);
  }

  /** A pipe or device: there, but not to be opened. */
  pipe(path: string): void {
    this.others.add(path);
  }

  kind(path: string): Promise<"file" | "folder" | "other" | "missing"> {
    const real = this.real(path);
    if (this.contents.has(real)) return Promise.resolve("file");
    if (this.others.has(real)) return Promise.resolve("other");
    const below = real.endsWith("/") ? real : `${real}/`;
    const isFolder = [...this.contents.keys(), ...this.links.keys()].some((name) => name.startsWith(below));
    return Promise.resolve(isFolder ? "folder" : "missing");
  }

  resolveInside(folder: string, name: string): Promise<string> {
    const real = this.real(`${folder}/${name}`);
    if (!real.startsWith(`${folder}/`) || real.split("/").includes("..")) {
      return Promise.reject(badData(folder, `${JSON.stringify(name)} leads out of the folder`));
    }
    return Promise.resolve(real);
  }

  open(path: string): Promise<FileSource> {
    const bytes = this.contents.get(this.real(path));
    if (bytes === undefined) {
      return Promise.reject(new DsError("missing-input", `Cannot open ${path}: no such file`));
    }
    this.openFiles++;
    let isOpen = true;
    return Promise.resolve({
      name: path,
      size: bytes.length,
      read: (offset, length) => {
        if (!isOpen) return Promise.reject(new TypeError(`Cannot read ${path}: it was closed`));
        return this.read(path, bytes, offset, length);
      },
      close: () => {
        if (isOpen) this.openFiles--;
        isOpen = false;
        return Promise.resolve();
      },
    });
  }

  private read(
    path: string,
    bytes: Uint8Array<ArrayBuffer>,
    offset: number,
    length: number,
  ): Promise<Uint8Array<ArrayBuffer>> {
    if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
      return Promise.reject(new RangeError(`Cannot read ${length} bytes at ${offset}`));
    }
    this.largestRead = Math.max(this.largestRead, length);
    const fault = this.faultAt(this.reads++, path);
    if (fault === "io") return Promise.reject(new DsError("io", `Cannot read ${path}: the disk failed`));
    if (fault === "short" || offset + length > bytes.length) {
      return Promise.reject(badData(path, `it ends before byte ${offset + length}`));
    }
    return Promise.resolve(bytes.slice(offset, offset + length));
  }

  private real(path: string): string {
    return this.links.get(path) ?? path;
  }
}
