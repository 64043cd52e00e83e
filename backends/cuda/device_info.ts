import type { DeviceInfo } from "../../core/backend.ts";

const MB = 1e6;
/** Tiles of 64 or 128 rows: enough of them that weights of a few thousand rows keep every multiprocessor busy. */
const PREFILL_ROWS = 512;
const NAME_BYTES = 256;

/** ds_device_facts; bytes and versions are 0 where unknown. */
export interface DeviceFacts {
  readonly name: string;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly capability: string;
  readonly multiprocessors: number;
  readonly l2Bytes: number;
  readonly driverVersion: number;
  readonly runtimeVersion: number;
  readonly cublasLtVersion: number;
  /** Whether it is the kernels on the host's processor. */
  readonly isHost: boolean;
}

/** @param bytes as C lays the structure out */
export function readFacts(bytes: Uint8Array<ArrayBuffer>): DeviceFacts {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const long = (at: number) => Number(view.getBigInt64(at, true));
  const int = (at: number) => view.getInt32(at, true);
  const nameEnd = bytes.indexOf(0);
  return {
    name: new TextDecoder().decode(bytes.subarray(0, Math.min(nameEnd, NAME_BYTES))),
    totalBytes: long(256),
    freeBytes: long(264),
    capability: `${int(272)}.${int(276)}`,
    multiprocessors: int(280),
    l2Bytes: int(284),
    driverVersion: int(288),
    runtimeVersion: int(292),
    cublasLtVersion: long(296),
    isHost: int(304) !== 0,
  };
}

/** @param path of the library */
export function deviceInfo(facts: DeviceFacts, path: string): DeviceInfo {
  return {
    name: facts.name,
    memoryBytes: facts.totalBytes || null,
    weightDtypes: ["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q4_k", "q6_k"],
    otherWeights: "q8_0",
    kvDtypes: ["f16", "bf16", "f32"],
    ...(!facts.isHost && { cacheBytes: facts.l2Bytes, prefillRows: PREFILL_ROWS }),
    facts: {
      ...(!facts.isHost && { device: deviceText(facts), software: softwareText(facts) }),
      library: path,
    },
  };
}

function deviceText({ capability, multiprocessors, l2Bytes, freeBytes }: DeviceFacts): string {
  return [
    `compute capability ${capability}`,
    `${multiprocessors} multiprocessors`,
    `${Math.round(l2Bytes / MB)} MB of L2 cache`,
    `${Math.round(freeBytes / MB)} MB free`,
  ].join(", ");
}

function softwareText({ driverVersion, runtimeVersion, cublasLtVersion }: DeviceFacts): string {
  return [
    `a driver of CUDA ${version(driverVersion)}`,
    `runtime ${version(runtimeVersion)}`,
    cublasLtVersion === 0
      ? "cuBLASLt not found: prefill multiplies by ds's own kernels"
      : `cuBLASLt ${Math.floor(cublasLtVersion / 10000)}.${Math.floor(cublasLtVersion / 100) % 100}`,
  ].join(", ");
}

/** 13010 → "13.1" */
function version(value: number): string {
  return `${Math.floor(value / 1000)}.${Math.floor((value % 1000) / 10)}`;
}
