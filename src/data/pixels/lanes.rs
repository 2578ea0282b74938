//! How pixel loops become vector code without a line of `unsafe`.
//!
//! [`widest`] compiles a closure for the machine's widest vectors and picks at run time.
//! Interleaved RGB is what Pillow, decoders and the window speak, but a vector wants planes: small
//! groups are pulled apart on the stack, worked on and put back ([`for_each_group`]); and since a
//! filter along a column works on whole rows at once, filters along rows turn the picture, run
//! along columns and turn it back ([`turned`]).

/// Pixels in a group: one 512-bit register of f32 or two of 256 bits.
pub const GROUP: usize = 32;

/// Runs `work` compiled for the widest vectors of this processor. `work`, what it calls and the
/// closures it passes on need `#[inline(always)]`; what is not inlined stays 128 bits wide.
#[inline(always)]
pub fn widest<R>(work: impl FnOnce() -> R) -> R {
    pulp::Arch::new().dispatch(work)
}

/// A value clipped to 0..=255 and its fraction cut off. `as u8` does the same, but its treatment of
/// NaN keeps it from becoming one vector instruction: 2^23 + n has n as its lowest bits.
#[inline(always)]
pub fn cut(value: f32) -> u8 {
    (value.clamp(0.0, 255.0).floor() + 8_388_608.0).to_bits() as u8
}

/// Calls `work(r, g, b, count)` for each group of pixels, `count` of them real (the last group may
/// be part filled with black). What it changes is written back if `write`.
#[inline(always)]
pub fn for_each_group(
    rgb: &mut [u8],
    write: bool,
    mut work: impl FnMut(&mut [u8; GROUP], &mut [u8; GROUP], &mut [u8; GROUP], usize),
) {
    for group in rgb.chunks_mut(GROUP * 3) {
        let (mut r, mut g, mut b) = ([0; GROUP], [0; GROUP], [0; GROUP]);
        let pixels = group.as_chunks_mut::<3>().0;
        for (((r, g), b), pixel) in r.iter_mut().zip(&mut g).zip(&mut b).zip(&*pixels) {
            [*r, *g, *b] = *pixel;
        }
        work(&mut r, &mut g, &mut b, pixels.len());
        if write {
            for (((r, g), b), pixel) in r.iter().zip(&g).zip(&b).zip(pixels) {
                *pixel = [*r, *g, *b];
            }
        }
    }
}

/// The `width`×`height` pixels of `rows`, mirrored at the diagonal: column x becomes row x, so that
/// the result is `height` wide and `width` high. Rows may be longer than `width`.
pub fn turned<'a>(rows: impl ExactSizeIterator<Item = &'a [u8]> + Clone, width: usize) -> Vec<u8> {
    // 16 source rows at a time: their cache lines stay while the columns are written out.
    const BLOCK: usize = 16;
    let height = rows.len();
    let mut out = vec![0; width * height * 3];
    for start in (0..height).step_by(BLOCK) {
        for (y, row) in rows.clone().enumerate().skip(start).take(BLOCK) {
            let columns = out.chunks_exact_mut(height * 3);
            for (column, pixel) in columns.zip(row.as_chunks::<3>().0) {
                if let Some(place) = column.as_chunks_mut::<3>().0.get_mut(y) {
                    *place = *pixel;
                }
            }
        }
    }
    out
}
