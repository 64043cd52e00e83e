import { badData } from "../errors.ts";
import type { FileSource } from "../files.ts";

const PIECE_BYTES = 2 ** 18;
/** Vocabularies make headers of up to about 20 MB. */
const MAX_HEADER_BYTES = 2 ** 26;

/** A little-endian cursor that reads a file in pieces. `need` before the fixed-size reads; all checks come before allocation. */
export class GgufReader {
  readonly file: FileSource;
  private piece = new Uint8Array(0);
  private view = new DataView(this.piece.buffer);
  private pieceStart = 0;
  private at = 0;

  constructor(file: FileSource) {
    this.file = file;
  }

  /** Byte offset in the file. */
  get position(): number {
    return this.pieceStart + this.at;
  }

  get remaining(): number {
    return this.file.size - this.position;
  }

  /** Whether the next `length` bytes can be read without `need`. */
  has(length: number): boolean {
    return this.at + length <= this.piece.length;
  }

  /** Makes the next `length` bytes readable. */
  async need(length: number): Promise<void> {
    if (this.has(length)) return;
    if (length > this.remaining) {
      throw badData(
        this.file.name,
        `it ends inside its header: ${length} bytes are needed at byte ${this.position} of ${this.file.size}`,
      );
    }
    if (this.position + length > MAX_HEADER_BYTES) {
      throw badData(this.file.name, `its header is longer than ${MAX_HEADER_BYTES} bytes`);
    }
    const start = this.position;
    this.piece = await this.file.read(start, Math.max(length, Math.min(PIECE_BYTES, this.remaining)));
    this.view = new DataView(this.piece.buffer, this.piece.byteOffset, this.piece.byteLength);
    this.pieceStart = start;
    this.at = 0;
  }

  bytes(length: number): Uint8Array {
    return this.piece.subarray(this.advance(length), this.at);
  }

  u8 = () => this.view.getUint8(this.advance(1));
  i8 = () => this.view.getInt8(this.advance(1));
  u16 = () => this.view.getUint16(this.advance(2), true);
  i16 = () => this.view.getInt16(this.advance(2), true);
  u32 = () => this.view.getUint32(this.advance(4), true);
  i32 = () => this.view.getInt32(this.advance(4), true);
  f32 = () => this.view.getFloat32(this.advance(4), true);
  f64 = () => this.view.getFloat64(this.advance(8), true);
  u64 = () => plain(this.view.getBigUint64(this.advance(8), true));
  i64 = () => plain(this.view.getBigInt64(this.advance(8), true));

  /** A 64-bit count; `what` names it in the refusal of one above `limit`. */
  async count(what: string, limit: number): Promise<number> {
    if (!this.has(8)) await this.need(8);
    return this.countHere(what, limit);
  }

  private countHere(what: string, limit: number): number {
    const count = this.u64();
    if (typeof count === "bigint" || count > limit) {
      throw badData(
        this.file.name,
        `its ${what} must be at most ${limit}: found ${count} at byte ${this.position - 8}`,
      );
    }
    return count;
  }

  async string(what: string, limit: number): Promise<string> {
    const length = await this.count(`length of ${what}`, limit);
    if (!this.has(length)) await this.need(length);
    return this.textHere(what, length);
  }

  /** As `string`, from what has been read already; null where that ends before it. A vocabulary's promises would take more memory than its strings. */
  stringHere(what: string, limit: number): string | null {
    if (!this.has(8)) return null;
    const length = this.countHere(`length of ${what}`, limit);
    if (this.has(length)) return this.textHere(what, length);
    this.at -= 8;
    return null;
  }

  private textHere(what: string, length: number): string {
    const bytes = this.bytes(length);
    try {
      return UTF8.decode(bytes);
    } catch {
      throw badData(this.file.name, `its ${what} before byte ${this.position} is not valid UTF-8`);
    }
  }

  private advance(length: number): number {
    const start = this.at;
    this.at += length;
    return start;
  }
}

const UTF8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function plain(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}
