import { openAttention } from "../../core/attention/open.ts";
import type { Backend } from "../../core/backend.ts";
import { checked } from "../../core/checked.ts";
import { consecutiveRows, privateRows } from "../../core/model.ts";
import { calibrationFacts } from "../../calibrations/facts.ts";
import { loadModel } from "../../runtime/load.ts";
import { cacheOf, calibrated, denseOf, forward, randomIds, SPARSE } from "./tiny_model.ts";

/**
 * Logits of a prefill in chunks, 20 decode steps and four private rows of the trained model that is part of ds, dense and sparse in
 * turn. Closes the backend.
 */
export async function modelRun(
  backend: Backend,
  chunk: number,
  dtype: "f16" | "bf16" | "f32",
): Promise<Float32Array[]> {
  const { model } = await loadModel("stories260k", { backend: checked(backend) });
  const ids = randomIds(5, 150, model.config.vocabSize);
  const calibration = await calibrated(model, [ids.slice(0, 64), ids.slice(64, 128)]);
  const facts = calibrationFacts(calibration, { wide: 8, narrow: 0 });
  const cache = cacheOf(model, 200, facts.labels, 1, dtype);
  const dense = denseOf(model);
  const sparse = openAttention("double-sparsity", model.backend, model.config, {
    ...SPARSE,
    calibration: facts,
  }, 200);
  const results: Float32Array[] = [];
  for (let first = 0; first < 130; first += chunk) {
    const piece = ids.slice(first, Math.min(130, first + chunk));
    results.push(await forward(model, cache, consecutiveRows(piece, first), dense));
  }
  for (let at = 130; at < 150; at++) {
    results.push(await forward(model, cache, consecutiveRows([ids[at]], at), at % 2 === 0 ? sparse : dense));
  }
  const positions = [149, 100, 70, 20];
  const rows = privateRows(positions.map((at) => ids[at]), positions, 150);
  results.push(await forward(model, cache, rows, sparse));
  await model.backend.close();
  return results;
}
