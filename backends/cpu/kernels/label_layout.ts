/**
 * Address of word `word` of the label at `place`, a token's flat index over [slots, Hk, S]: the W words of a token lie
 * side by side.
 */
export function labelWord(words: usize, W: i32, place: usize, word: i32): usize {
  return words + ((place * <usize> W + <usize> word) << 2);
}
