//! Photos that take little space and much memory.

/// Returns a legal progressive JPEG: one scan with the average of each block, all grey.
///
/// `sampling` has the factors of each component, `0x22` for two by two.
pub(crate) fn progressive_jpeg(width: u16, height: u16, sampling: [u8; 3]) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xd8];
    let mut segment = |kind: u8, data: &[u8]| {
        bytes.extend([0xff, kind]);
        bytes.extend((data.len() as u16 + 2).to_be_bytes());
        bytes.extend(data);
    };

    segment(0xdb, &[&[0][..], &[1; 64]].concat());
    let ([h1, h2], [w1, w2]) = (height.to_be_bytes(), width.to_be_bytes());
    let [luma, blue, red] = sampling;
    segment(
        0xc2,
        &[8, h1, h2, w1, w2, 3, 1, luma, 0, 2, blue, 0, 3, red, 0],
    );
    // One code of one bit, for a difference of 0 (ITU T.81, B.2.4.2).
    let mut table = [0; 18];
    table[1] = 1;
    segment(0xc4, &table);
    // The first scan of the first coefficient, of all components.
    segment(0xda, &[3, 1, 0, 2, 0, 3, 0, 0, 0, 0]);

    let across = u32::from(luma >> 4);
    let down = u32::from(luma & 15);
    let units = u32::from(width).div_ceil(8 * across) * u32::from(height).div_ceil(8 * down);
    let blocks: u32 = sampling
        .iter()
        .map(|factors| u32::from(factors >> 4) * u32::from(factors & 15))
        .sum();
    // A zero bit for each block; the rest of the last byte is ones.
    let bits = units * blocks;
    bytes.extend(vec![0; (bits / 8) as usize]);
    if !bits.is_multiple_of(8) {
        bytes.push(0xff_u8 >> (bits % 8));
    }
    bytes.extend([0xff, 0xd9]);
    bytes
}
