import { Random } from "../../core/random.ts";
import type { Bench } from "./bench.ts";
import { type Case, conformance } from "./conformance.ts";
import { gaussians } from "./scenario.ts";

const x = gaussians(new Random(21), 7 * 33);

function transfer(name: string, run: (bench: Bench) => Promise<Uint8Array>, wanted: () => Uint8Array): Case {
  return { name, run: async (bench) => ({ bytes: await run(bench) }), oracle: () => ({ bytes: wanted() }) };
}

const bytes = new Uint8Array(x.buffer);
const rowBytes = 33 * 4;

// Bytes in, bytes out.
conformance("upload, download", 0, [
  ...(["f32", "f16", "bf16", "i32", "u32", "u8"] as const).map((dtype) => {
    const size = dtype === "u8" ? 1 : dtype.endsWith("16") ? 2 : 4;
    return transfer(
      `fresh ${dtype} tensors are zero`,
      async ({ backend }) => {
        const tensor = backend.alloc({ dtype, shape: [3, 5, 7] });
        const found = await backend.download(tensor);
        backend.free(tensor);
        return found;
      },
      () => new Uint8Array(3 * 5 * 7 * size),
    );
  }),
  ...(["f16", "bf16"] as const).map((dtype) =>
    transfer(
      `every finite ${dtype} comes back`,
      async ({ backend }) => {
        const tensor = backend.alloc({ dtype, shape: [256, 256] });
        backend.upload(tensor, finiteHalves(dtype));
        const found = await backend.download(tensor);
        backend.free(tensor);
        return found;
      },
      () => finiteHalves(dtype),
    )
  ),
  ...(["f16", "bf16"] as const).map((dtype) =>
    transfer(
      `some rows of ${dtype}, written and read`,
      async ({ backend }) => {
        const tensor = backend.alloc({ dtype, shape: [8, 16] });
        backend.upload(tensor, finiteHalves(dtype).subarray(4096, 4096 + 3 * 32), 2 * 32);
        const found = await backend.download(tensor, 32, 5 * 32);
        backend.free(tensor);
        return found;
      },
      () => {
        const wanted = new Uint8Array(5 * 32);
        wanted.set(finiteHalves(dtype).subarray(4096, 4096 + 3 * 32), 32);
        return wanted;
      },
    )
  ),
  transfer("all of it", (bench) => bench.backend.download(bench.tensor(x, [7, 33])), () => bytes),
  transfer(
    "some rows of it",
    (bench) => bench.backend.download(bench.tensor(x, [7, 33]), 2 * rowBytes, 3 * rowBytes),
    () => bytes.slice(2 * rowBytes, 5 * rowBytes),
  ),
  transfer(
    "rows from the middle to the end",
    (bench) => bench.backend.download(bench.tensor(x, [7, 33]), 4 * rowBytes),
    () => bytes.slice(4 * rowBytes),
  ),
  transfer(
    "rows written over others, from a view at an odd offset",
    async (bench) => {
      const tensor = bench.tensor(x, [7, 33]);
      const shifted = new Uint8Array(2 * rowBytes + 1);
      shifted.set(bytes.subarray(0, 2 * rowBytes), 1);
      bench.backend.upload(tensor, shifted.subarray(1), 3 * rowBytes);
      return await bench.backend.download(tensor);
    },
    () => {
      const wanted = bytes.slice();
      wanted.set(bytes.subarray(0, 2 * rowBytes), 3 * rowBytes);
      return wanted;
    },
  ),
  transfer(
    "all of it, once everything before is done",
    async (bench) => {
      const tensor = bench.tensor(x, [7, 33]);
      for (let i = 0; i < 3; i++) {
        bench.backend.add(tensor, tensor);
        await bench.backend.synchronize();
      }
      return await bench.backend.download(tensor);
    },
    () => new Uint8Array(x.map((value) => 8 * value).buffer),
  ),
  transfer(
    "bytes as of the call, whatever is enqueued after it",
    async (bench) => {
      const tensor = bench.tensor(x, [7, 33]);
      const before = bench.backend.download(tensor);
      bench.backend.add(tensor, tensor);
      return await before;
    },
    () => bytes,
  ),
]);

/** Every bit pattern, those of infinities and NaN replaced by zero. */
function finiteHalves(dtype: "f16" | "bf16"): Uint8Array {
  const exponent = dtype === "f16" ? 0x7c00 : 0x7f80;
  const halves = Uint16Array.from(
    { length: 65536 },
    (_, bits) => ((bits & exponent) === exponent ? 0 : bits),
  );
  return new Uint8Array(halves.buffer);
}
