import { badData } from "../errors.ts";
import { describe } from "../quote.ts";

/** Typed reads of a configuration, by key; null counts as absent. Every refusal names file, key and value. */
export class Facts {
  readonly file: string;
  private readonly lookup: (key: string) => unknown;
  private readonly prefix: string;

  /** @param prefix goes before every key, in look-ups and in messages */
  constructor(file: string, lookup: (key: string) => unknown, prefix: string = "") {
    this.file = file;
    this.lookup = lookup;
    this.prefix = prefix;
  }

  raw(key: string): unknown {
    return this.lookup(this.prefix + key) ?? undefined;
  }

  has(key: string): boolean {
    return this.raw(key) !== undefined;
  }

  /** A whole number from 0; ranges are checked once for all formats, by `checkConfig`. */
  integer(key: string, fallback?: number): number {
    const value = this.raw(key) ?? fallback;
    if (typeof value !== "number" || !Number.isSafeInteger(value) || value < 0) {
      throw this.refuse(key, "a whole number from 0", value);
    }
    return value;
  }

  positive(key: string, fallback?: number): number {
    const value = this.integer(key, fallback);
    if (value === 0) throw this.refuse(key, "a whole number above 0", value);
    return value;
  }

  real(key: string, fallback?: number): number {
    const value = this.raw(key) ?? fallback;
    if (typeof value !== "number" || !Number.isFinite(value)) {
      throw this.refuse(key, "a finite number", value);
    }
    return value;
  }

  flag(key: string, fallback: boolean): boolean {
    const value = this.raw(key) ?? fallback;
    if (typeof value !== "boolean") throw this.refuse(key, "true or false", value);
    return value;
  }

  text(key: string, fallback?: string): string {
    const value = this.raw(key) ?? fallback;
    if (typeof value !== "string") throw this.refuse(key, "text", value);
    return value;
  }

  refuse(key: string, needed: string, found: unknown): Error {
    return badData(this.file, `${this.prefix}${key} must be ${needed}: found ${describe(found)}`);
  }
}
