// Workgroups of a grid [blocks of tokens, sets], the sets spread over two dimensions.
fn set_of(group: vec3u, groups: vec3u) -> u32 {
  return group.y + group.z * groups.y;
}
