import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { StopMatcher } from "../../core/stop.ts";

test("StopMatcher never shows a stop string when text comes in any pieces", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 30 });
  fc.assert(fc.property(
    fc.array(letters, { maxLength: 8 }),
    fc.array(fc.string({ unit: fc.constantFrom("a", "b", "c"), minLength: 1, maxLength: 4 }), {
      minLength: 1,
      maxLength: 3,
    }),
    (pieces, stops) => {
      const matcher = new StopMatcher(stops);
      let shown = "";
      let stopped = false;
      for (const piece of pieces) {
        const step = matcher.push(piece);
        shown += step.text;
        if (step.stopped) {
          stopped = true;
          break;
        }
      }
      if (!stopped) shown += matcher.flush();
      const whole = pieces.join("");
      assert.ok(whole.startsWith(shown));
      assert.equal(stopped, stops.some((stop) => whole.includes(stop)));
      if (stopped) assert.ok(stops.every((stop) => !shown.includes(stop)));
      else assert.equal(shown, whole);
    },
  ));
});

test("StopMatcher() throws when a stop string is empty", () => {
  assert.throws(() => new StopMatcher([""]), RangeError);
});
