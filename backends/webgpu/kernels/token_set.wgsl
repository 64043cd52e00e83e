// What a set takes: the tokens [0, first_free) and [end_free, kv_len) are forced, of those between it takes the `wanted` heaviest.
// Where it takes all, all are forced.
struct TokenSet {
  kv_len: u32,
  first_free: u32,
  end_free: u32,
  wanted: u32,
  // The least selected weight, and how many of exactly that weight are selected.
  threshold: u32,
  of_threshold: u32,
}

// Tokens of a block: what one workgroup looks at.
const BLOCK = 1024u;

fn token_set(position: i32, heavy_tokens: i32, sink_tokens: u32, recent_tokens: u32) -> TokenSet {
  let others = u32(position);
  let kv_len = others + 1u;
  let k = u32(max(heavy_tokens, 0));
  if (k >= kv_len) {
    return TokenSet(kv_len, kv_len, kv_len, 0u, 0u, 0u);
  }
  let first_free = min(sink_tokens, kv_len);
  let end_free = max(first_free, others - min(recent_tokens, others));
  let forced = kv_len - (end_free - first_free);
  return TokenSet(kv_len, first_free, end_free, max(k, forced) - forced, 0u, 0u);
}
