alias Value = f32;
