import { address, claim, int } from "./command";
import { exp1 } from "./exp";

/**
 * experts, mix, logits, rows, E, chosen, renormalise: the largest logits, largest first, ties: the lowest index; and their
 * softmax over all E, divided by the sum of the chosen where asked for. No expert is chosen twice: a place is taken where it
 * is already listed.
 */
export function routeExperts(command: usize): void {
  const experts = address(command, 0);
  const mix = address(command, 1);
  const logits = address(command, 2);
  const rows = int(command, 3);
  const E = int(command, 4);
  const chosen = int(command, 5);
  const renormalise = int(command, 6) != 0;
  for (let row = claim(command); row < rows; row = claim(command)) {
    const x = logits + (<usize> (row * E) << 2);
    const places = experts + (<usize> (row * chosen) << 2);
    const shares = mix + (<usize> (row * chosen) << 2);
    let largest: f32 = 0;
    let total: f32 = 0;
    for (let j = 0; j < chosen; j++) {
      let best = -1;
      for (let e = 0; e < E; e++) {
        if (isListed(places, j, e)) continue;
        if (best < 0 || value(x, e) > value(x, best)) best = e;
      }
      store<i32>(places + (<usize> j << 2), best);
      if (j == 0) largest = value(x, best);
      const share = exp1(value(x, best) - largest);
      store<f32>(shares + (<usize> j << 2), share);
      if (renormalise) total += share;
    }
    if (!renormalise) { for (let e = 0; e < E; e++) total += exp1(value(x, e) - largest); }
    for (let j = 0; j < chosen; j++) {
      const at = shares + (<usize> j << 2);
      store<f32>(at, load<f32>(at) / total);
    }
  }
}

function value(x: usize, e: i32): f32 {
  return load<f32>(x + (<usize> e << 2));
}

function isListed(places: usize, count: i32, e: i32): bool {
  for (let j = 0; j < count; j++) if (load<i32>(places + (<usize> j << 2)) == e) return true;
  return false;
}
