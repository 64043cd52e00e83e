import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { openCuda, openLibrary } from "../../../backends/cuda/backend.ts";
import { STATUS } from "../../../backends/cuda/faults.ts";
import { ABI_VERSION, provideKoffi } from "../../../backends/cuda/library.ts";
import { openBackend } from "../../../backends/mod.ts";
import { DsError } from "../../../core/errors.ts";
import { ds, TINY } from "../../cli/fake_process.ts";
import { FakeLibrary } from "./fake_library.ts";

const folder = mkdtempSync(join(tmpdir(), "ds-cuda-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
/** There, but no library. */
const TEXT = join(folder, "text.so");
writeFileSync(TEXT, "text");

async function refusal(opening: () => unknown): Promise<string> {
  let message = "";
  await assert.rejects(async () => await opening(), (error: unknown) => {
    assert.ok(error instanceof DsError && error.kind === "backend-unavailable", String(error));
    message = error.message;
    return true;
  });
  return message;
}

/** Opens with a koffi that finds these functions, by what they return. */
async function withKoffi(load: () => unknown, body: () => Promise<void>): Promise<void> {
  provideKoffi(load);
  try {
    await body();
  } finally {
    provideKoffi(null);
  }
}

test("a library that is not there ends the command line with 69 and says where it was looked for", async () => {
  const missing = join(folder, "none.so");
  const { code, out, err } = await ds(["run", "x", ...TINY, "--backend", "cuda", "--cuda-library", missing]);
  assert.equal(code, 69);
  assert.equal(out, "");
  assert.equal(
    err,
    `ds: Cannot open backend "cuda" as ${missing} does not exist: --cuda-library and DS_CUDA_LIBRARY name the ` +
      "libds_cuda.so that deno task build:cuda makes\n",
  );
  const environment = { DS_BACKEND: "cuda", DS_CUDA_LIBRARY: missing };
  assert.deepEqual(await ds(["run", "x", ...TINY], { environment }), { code, out, err });
});

test("the command line takes the library's path wherever it takes a backend", async () => {
  const flag = ["--cuda-library", join(folder, "none.so")];
  const on = ["--backend", "cuda"];
  for (
    const words of [
      ["run", "x", ...TINY, ...on],
      ["eval", "perplexity", ...TINY, ...on],
      ["plan", ...TINY, ...on],
      ["calibrate", ...TINY, ...on, "--out", join(folder, "x.dscal")],
      ["bench", "attention", "--backends", "cuda"],
    ]
  ) {
    const { code, err } = await ds([...words, ...flag]);
    assert.equal(code, 69, `${words.join(" ")}: ${err}`);
    assert.match(err, /none\.so does not exist/);
  }
});

test("a library that is named but not used is told of", async () => {
  const missing = join(folder, "none.so");
  const words = ["run", "x", ...TINY, "--backend", "auto", "--max-tokens", "1", "--cuda-library", missing];
  const { code, err } = await ds(words);
  assert.equal(code, 0);
  assert.match(err, /--cuda-library .*none\.so has no part in it: backend \w+ is used, not cuda; ds doctor/);
});

test("a file that is no library is named", async () => {
  const message = await refusal(() => openCuda({ cudaLibrary: TEXT }));
  assert.match(message, /^Cannot open backend "cuda" as .*text\.so cannot be loaded: /);
});

test("without koffi's native part it is said what to install", async () => {
  const absent = () => {
    throw new Error("Cannot find the native Koffi module\nand more");
  };
  await withKoffi(absent, async () => {
    const message = await refusal(() => openCuda({ cudaLibrary: TEXT }));
    assert.match(
      message,
      /the package koffi, .* \(Cannot find the native Koffi module\): install the packages/,
    );
  });
});

test("a library of another version is refused, both versions named, before any other function is looked for", async () => {
  const found = ABI_VERSION + 1;
  const func = (name: string) => {
    assert.equal(name, "ds_abi_version");
    return () => found;
  };
  await withKoffi(() => ({ load: () => ({ func }) }), async () => {
    const message = await refusal(() => openCuda({ cudaLibrary: TEXT }));
    assert.match(
      message,
      new RegExp(`another version, ${found} where this ds needs ${ABI_VERSION}: .*build:cuda`),
    );
  });
});

test("a library without one of the functions is refused by its name", async () => {
  const func = (name: string) => {
    if (name === "ds_abi_version") return () => ABI_VERSION;
    throw new Error(`Cannot find function '${name}' in shared library`);
  };
  await withKoffi(() => ({ load: () => ({ func }) }), async () => {
    const message = await refusal(() => openCuda({ cudaLibrary: TEXT }));
    assert.match(message, /text\.so is no library of ds: Cannot find function 'ds_last_error'/);
  });
});

test("a machine without a GPU is told as the library tells it", async () => {
  const library = new FakeLibrary();
  library.failures.set("open", [STATUS.unavailable, "Cannot use CUDA: it needs a driver"]);
  const message = await refusal(() => openLibrary(library));
  assert.equal(message, 'Cannot open backend "cuda" as its library says: Cannot use CUDA: it needs a driver');
});

test("the kernels on the host's processor are taken only where they are asked for", async () => {
  const library = new FakeLibrary();
  library.isHost = true;
  const message = await refusal(() => openLibrary(library, false));
  assert.match(
    message,
    /libds_cuda\.so is the kernels on the host's processor, for tests: use --backend cpu/,
  );
  assert.deepEqual(library.take(), ["open", "describe", "close"]);
  const { device } = openLibrary(library);
  assert.equal(device.prefillRows, undefined);
  assert.deepEqual(device.facts, { library: library.path });
});

test("a GPU is told by its name, memory and facts", () => {
  const { device } = openLibrary(new FakeLibrary());
  assert.equal(device.name, "NVIDIA Fake");
  assert.equal(device.memoryBytes, 2 ** 33);
  assert.equal(device.prefillRows, 512);
  assert.match(device.facts!.software!, /cuBLASLt not found: prefill multiplies by ds's own kernels/);
});

test("openBackend() passes the library's path on", async () => {
  const cudaLibrary = join(folder, "none.so");
  assert.match(await refusal(() => openBackend("cuda", { cudaLibrary })), /none\.so does not exist/);
});
