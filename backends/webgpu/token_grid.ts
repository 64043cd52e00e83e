import { type Queue, spread } from "./queue.ts";

/** Workgroups [blocks of `tokens` tokens, sets] that cover the longest row of the step; `set_grid.wgsl` gives each its set. */
export function tokenGrid(queue: Queue, tokens: number, sets: number): [number, number, number] {
  const longest = queue.rows.host.positions.reduce((most, position) => Math.max(most, position), 0) + 1;
  return [Math.ceil(longest / tokens), ...spread(sets)];
}
