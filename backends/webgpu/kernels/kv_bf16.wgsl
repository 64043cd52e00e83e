// Four values of a row of K or V, bf16.
alias KvFour = vec2u;

fn values_of(four: KvFour) -> vec4f {
  let odd = four & vec2u(0xffff0000u);
  let even = four << vec2u(16u);
  return bitcast<vec4f>(vec4u(even.x, odd.x, even.y, odd.y));
}
