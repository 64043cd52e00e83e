import type { Backend } from "../core/backend.ts";
import { DsError } from "../core/errors.ts";
import { describeRuntime } from "../runtime/machine.ts";
import { bytesText } from "./numbers.ts";

/** Bytes a backend may take: the device's, or what is free on this machine where the device does not say. */
export function deviceMemory({ device }: Backend): number {
  return device.memoryBytes ?? describeRuntime().freeMemory;
}

/**
 * @param what "attention at 65536 tokens"
 * @param fix what to ask for instead
 * @throws {DsError} kind "out-of-memory", before anything is allocated
 */
export function requireMemory(backend: Backend, bytes: number, what: string, fix: string): void {
  const memory = deviceMemory(backend);
  if (bytes <= memory) return;
  throw new DsError(
    "out-of-memory",
    `Cannot bench ${what} on ${backend.name}: it takes at least ${bytesText(bytes)} and ${
      bytesText(memory)
    } can be had; ${fix}`,
  );
}
