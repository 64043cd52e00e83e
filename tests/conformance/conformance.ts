import assert from "node:assert/strict";
import { test } from "node:test";
import { openReference } from "../../backends/reference/backend.ts";
import type { Backend } from "../../core/backend.ts";
import { DsError } from "../../core/errors.ts";
import { OPENERS } from "./backends.ts";
import { Bench } from "./bench.ts";
import { skip } from "../support/skip.ts";

/** Named outputs of an op: integers are compared exactly, floats within the op's bound. */
export type Results = Readonly<
  Record<string, Float32Array | Float64Array | Int32Array | Uint32Array | Uint8Array>
>;

export interface Case {
  readonly name: string;
  /** Where a backend's bound for this case is not that of the whole op: what its `bounds` call it, "linear q4_1". */
  readonly boundKey?: string;
  readonly run: (bench: Bench) => Promise<Results>;
  /** The same by plain f64 arithmetic that shares no code with any backend. */
  readonly oracle: () => Results;
}

/**
 * Runs every case on every backend: the reference against the oracle, the others against the reference.
 *
 * @param bound largest error allowed, as a fraction of the largest value wanted
 */
export function conformance(op: string, bound: number, cases: readonly Case[]): void {
  for (const { name, open, bounds } of OPENERS) {
    let opening: Promise<Backend | string> | null = null;
    const opened = () => opening ??= open().catch(reasonOf);
    for (const one of cases) {
      test(`${op}() conforms on ${name}: ${one.name}`, async (t) => {
        const backend = await opened();
        if (typeof backend === "string") return skip(t, `backend ${name}: ${backend}`);
        const found = await runOn(backend, one);
        const wanted = name === "reference" ? one.oracle() : await onReference(one);
        const own = bounds?.(backend) ?? {};
        compare(found, wanted, own[one.boundKey ?? op] ?? own[op] ?? bound);
      });
    }
    test(`${op}() is done with ${name}`, async () => {
      const backend = await opened();
      if (typeof backend !== "string") await backend.close();
    });
  }
}

/** One law on every backend that opens; `isReference` where equality is bit for bit. */
export function law(name: string, body: (backend: Backend, isReference: boolean) => Promise<void>): void {
  for (const opener of OPENERS) {
    test(`${name} (${opener.name})`, async (t) => {
      const backend = await opener.open().catch(reasonOf);
      if (typeof backend === "string") return skip(t, `backend ${opener.name}: ${backend}`);
      await body(backend, opener.name === "reference");
      await backend.close();
    });
  }
}

export function compare(found: Results, wanted: Results, bound: number): void {
  assert.deepEqual(Object.keys(found), Object.keys(wanted));
  for (const [name, values] of Object.entries(wanted)) {
    const got = found[name];
    assert.equal(got.length, values.length, `${name}: length`);
    if (!(values instanceof Float32Array || values instanceof Float64Array)) {
      const at = values.findIndex((value, i) => value !== got[i]);
      assert.equal(at, -1, `${name}[${at}]: found ${got[at]}, wanted ${values[at]}`);
      continue;
    }
    const { error, at } = worstError(got, values);
    assert.ok(
      error <= bound,
      `${name}[${at}]: found ${got[at]}, wanted ${values[at]}: ${error} over ${bound}`,
    );
  }
}

/** The largest difference over the largest value wanted. */
export function worstError(
  found: ArrayLike<number>,
  wanted: ArrayLike<number>,
): { error: number; at: number } {
  let largest = 0;
  let error = 0;
  let at = 0;
  for (let i = 0; i < wanted.length; i++) {
    largest = Math.max(largest, Math.abs(wanted[i]));
    const difference = Math.abs(found[i] - wanted[i]);
    if (!(difference <= error)) [error, at] = [Number.isNaN(difference) ? Infinity : difference, i];
  }
  return { error: error === 0 ? 0 : error / largest, at };
}

async function runOn(backend: Backend, one: Case): Promise<Results> {
  const bench = new Bench(backend);
  const results = await one.run(bench);
  await bench.finish();
  return results;
}

async function onReference(one: Case): Promise<Results> {
  const backend = await openReference();
  const results = await runOn(backend, one);
  await backend.close();
  return results;
}

function reasonOf(error: unknown): string {
  if (error instanceof DsError && error.kind === "backend-unavailable") return error.message;
  throw error;
}
