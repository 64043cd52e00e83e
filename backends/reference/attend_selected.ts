import type {
  AttendSelectedOptions,
  ForcedTokens,
  LayerCache,
  Scores,
  Selection,
  StepRows,
} from "../../core/backend.ts";
import { exp } from "../../core/math.ts";
import { sumOfValues } from "./append_kv.ts";
import { exactLogits, type Group, loadQuery, softmax, weightedValues } from "./attention.ts";
import { floats, type FloatTensor, ints } from "./tensor.ts";

/** Exact attention over the selected tokens, and the virtual token for the others: out [T, Hq, d]. */
export function attendSelected(
  out: FloatTensor,
  qkv: FloatTensor,
  cache: LayerCache,
  selection: Selection,
  options: AttendSelectedOptions,
  rows: StepRows,
): void {
  const kv = floats(cache.kv);
  const [T, heads, d] = qkv.shape;
  const [, Hk, S] = kv.shape;
  const Hq = heads - 2 * Hk;
  const [, H, K] = selection.indices.shape;
  const perSet = Hq / H;
  const staging = options.staging === undefined ? null : floats(options.staging);
  const query = new Float64Array(perSet * d);
  const logits = new Float64Array(perSet * K);
  const total = new Float64Array(perSet * d);
  const places = new Int32Array(K);
  for (let t = 0; t < T; t++) {
    const position = rows.positions[t];
    const home = rows.homes[t];
    for (let set = 0; set < H; set++) {
      const list = (t * H + set) * K;
      const at = ints(selection.indices).offset(list);
      const count = ints(selection.counts).chunks[0][t * H + set];
      const chosen = ints(selection.indices).chunk(list).subarray(at, at + count);
      places.set(chosen);
      const self = chosen.indexOf(position);
      if (self >= 0) places[self] = home;

      const slotHead = rows.slots[t] * Hk + Math.floor((set * Hk) / H);
      const start = slotHead * S * 2 * d;
      const cached: Group = {
        query,
        heads: perSet,
        d,
        kv: kv.chunk(start),
        base: kv.offset(start),
        places,
        count,
      };
      const group = staging === null ? cached : staged(cached, staging, list * 2 * d, self);

      const asked = (t * heads + set * perSet) * d;
      loadQuery(query, qkv.chunk(asked), qkv.offset(asked), perSet * d);
      exactLogits(logits, group, options.scale);
      const firstHead = t * Hq + set * perSet;
      const needsTail = options.tail !== undefined && count < position + 1;
      const masses = needsTail
        ? tailMasses(logits, chosen, position, firstHead, perSet, d, selection, options.tail)
        : null;
      const parts = Array.from({ length: perSet }, (_, i) => softmax(logits, i * count, count));
      weightedValues(total, logits, group);
      const others = masses === null ? null : meanOfOthers(cache, slotHead, position, home, group);

      const to = firstHead * d;
      const target = out.chunk(to);
      const outAt = out.offset(to);
      for (let i = 0; i < perSet; i++) {
        const { largest, sum } = parts[i];
        const tail = masses === null ? 0 : masses[i].mass * exp(masses[i].shift - largest);
        if (others !== null && tail > 0) {
          const weight = Math.min(tail, sum / 9);
          for (let c = i * d; c < (i + 1) * d; c++) {
            target[outAt + c] = (total[c] + weight * others[c - i * d]) / (sum + weight);
          }
        } else {
          for (let c = i * d; c < (i + 1) * d; c++) target[outAt + c] = total[c] / sum;
        }
      }
    }
  }
}

/** The rows of `staging` [T, Hk, K, 2, d] instead of the cache's; the row itself, entry `self`, is missing there. */
function staged(cached: Group, staging: FloatTensor, start: number, self: number): Group {
  const { d, places, count } = cached;
  const from = staging.offset(start);
  const kv = staging.chunk(start).slice(from, from + count * 2 * d);
  if (self >= 0) {
    const at = cached.base + places[self] * 2 * d;
    kv.set(cached.kv.subarray(at, at + 2 * d), self * 2 * d);
  }
  return { ...cached, kv, base: 0, places: Int32Array.from({ length: count }, (_, i) => i) };
}

/** The tail of a head before the cap: mass · exp(shift - largest), in units of its softmax. */
interface TailMass {
  readonly mass: number;
  readonly shift: number;
}

const NO_TAIL: TailMass = { mass: 0, shift: 0 };

function tailMasses(
  logits: Float64Array,
  chosen: Int32Array,
  position: number,
  firstHead: number,
  heads: number,
  d: number,
  selection: Selection,
  { scores, forced }: { readonly scores: Scores; readonly forced: ForcedTokens },
): TailMass[] {
  const S = scores.scores.shape[2];
  const firstRecent = position - forced.recentTokens;
  return Array.from({ length: heads }, (_, i) => {
    const head = firstHead + i;
    const perScore = 2 ** -ints(scores.exponents).chunks[0][head] / Math.sqrt(d);
    const row = ints(scores.scores).chunk(head * S);
    const at = ints(scores.scores).offset(head * S);
    let sum = 0;
    let count = 0;
    for (let j = 0; j < chosen.length; j++) {
      const n = chosen[j];
      if (n < forced.sinkTokens || n >= firstRecent) continue;
      sum += logits[i * chosen.length + j] - perScore * row[at + n];
      count++;
    }
    const mass = floats(selection.tailMass).chunks[0][head];
    if (count === 0 || mass === 0) return NO_TAIL;
    return { mass, shift: sum / count + perScore * ints(scores.maxima).chunks[0][head] };
  });
}

/** Mean V of the tokens up to and with the row itself that `group` leaves out, f64 [d]. */
function meanOfOthers(
  { labels, kv }: LayerCache,
  slotHead: number,
  position: number,
  home: number,
  group: Group,
): Float64Array | null {
  if (labels === null) return null;
  const { d, places, count } = group;
  const [, , S] = kv.shape;
  const cached = floats(kv);
  const mean = sumOfValues(floats(labels.valueSums), cached, slotHead, S, position);
  const start = slotHead * S * 2 * d;
  const own = cached.offset(start) + home * 2 * d + d;
  const ownChunk = cached.chunk(start);
  for (let c = 0; c < d; c++) {
    let sum = mean[c] + ownChunk[own + c];
    for (let j = 0; j < count; j++) sum -= group.kv[group.base + places[j] * 2 * d + d + c];
    mean[c] = sum / (position + 1 - count);
  }
  return mean;
}
