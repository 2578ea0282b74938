// A picture under a grid of patches: mask, heat map or tint, grid lines and outlines.
//
// group 0, binding 0: Params, one a picture on the screen
// group 0, binding 1: the picture, RGBA8, gamma-coded bytes as they are
// group 0, binding 2: cells, RGBA8, `grid` wide and 2 x `grid` high. Upper half: the layer; for a tint
//                     colour and opacity, for a heat map the value as 16 bits in (r, g) and in a
//                     whether there is one. Lower half: r is 1 where a patch is outlined.
// group 0, binding 3: colour maps, 256 wide, one a row
//
// Drawn as one triangle over egui's viewport. That viewport is cut off at the edge of the screen, so
// places come from the pixel's own position and not from corners. Whether a pixel belongs to a patch
// is found with integers, and textures are read without samplers: overlay/cpu.rs does the same sums
// and gives the same picture.

struct Params {
    origin: vec2<i32>,
    side: vec2<u32>,
    grid: u32,
    kind: u32,
    flags: u32,
    map: u32,
    taps: u32,
    thick: u32,
    opacity: f32,
    pad: u32,
    line: vec4<f32>,
    mark: vec4<f32>,
}

const TINT: u32 = 1u;
const HEAT: u32 = 2u;
const SMOOTH: u32 = 1u;
const LINES: u32 = 2u;
const LINEAR_TARGET: u32 = 4u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var picture: texture_2d<f32>;
@group(0) @binding(2) var cells: texture_2d<f32>;
@group(0) @binding(3) var maps: texture_2d<f32>;

@vertex
fn vertex(@builtin(vertex_index) index: u32) -> @builtin(position) vec4<f32> {
    let corner = vec2<f32>(f32((index << 1u) & 2u), f32(index & 2u));
    return vec4<f32>(2.0 * corner - 1.0, 0.0, 1.0);
}

fn texel(at: vec2<i32>) -> vec3<f32> {
    let last = vec2<i32>(textureDimensions(picture)) - 1;
    return textureLoad(picture, clamp(at, vec2<i32>(0), last), 0).rgb;
}

fn between(at: vec2<f32>) -> vec3<f32> {
    let low = vec2<i32>(floor(at));
    let part = at - floor(at);
    let top = mix(texel(low), texel(low + vec2<i32>(1, 0)), part.x);
    let bottom = mix(texel(low + vec2<i32>(0, 1)), texel(low + vec2<i32>(1, 1)), part.x);
    return mix(top, bottom, part.y);
}

fn photograph(pixel: vec2<u32>) -> vec3<f32> {
    let scale = vec2<f32>(textureDimensions(picture)) / vec2<f32>(params.side);
    var sum = vec3<f32>(0.0);
    for (var j = 0u; j < params.taps; j++) {
        for (var i = 0u; i < params.taps; i++) {
            let inside = (vec2<f32>(f32(i), f32(j)) + 0.5) / f32(params.taps);
            sum += between((vec2<f32>(pixel) + inside) * scale - 0.5);
        }
    }
    return sum / f32(params.taps * params.taps);
}

fn cell_of(pixel: vec2<u32>) -> vec2<u32> {
    return ((2u * pixel + 1u) * params.grid) / (2u * params.side);
}

fn value(at: vec2<i32>) -> vec2<f32> {
    let cell = clamp(at, vec2<i32>(0), vec2<i32>(i32(params.grid) - 1));
    let texel = textureLoad(cells, cell, 0);
    return vec2<f32>((texel.r * 65280.0 + texel.g * 255.0) / 65535.0 * texel.a, texel.a);
}

fn map_colour(value: f32) -> vec3<f32> {
    let at = clamp(value, 0.0, 1.0) * 255.0;
    let low = i32(floor(at));
    let row = i32(params.map);
    let a = textureLoad(maps, vec2<i32>(low, row), 0).rgb;
    let b = textureLoad(maps, vec2<i32>(min(low + 1, 255), row), 0).rgb;
    return mix(a, b, at - floor(at));
}

fn heat(pixel: vec2<u32>, cell: vec2<u32>) -> vec2<f32> {
    if (params.flags & SMOOTH) == 0u {
        return value(vec2<i32>(cell));
    }
    let at = (vec2<f32>(pixel) + 0.5) / vec2<f32>(params.side) * f32(params.grid) - 0.5;
    let low = vec2<i32>(floor(at));
    let part = at - floor(at);
    let top = mix(value(low), value(low + vec2<i32>(1, 0)), part.x);
    let bottom = mix(value(low + vec2<i32>(0, 1)), value(low + vec2<i32>(1, 1)), part.x);
    return mix(top, bottom, part.y);
}

// Whether the patch of the pixel ends less than `reach` pixels away.
fn at_edge(pixel: vec2<u32>, cell: vec2<u32>, reach: u32) -> bool {
    let far = pixel + reach;
    if any(pixel < vec2<u32>(reach)) || any(far >= params.side) {
        return true;
    }
    return any(cell_of(pixel - reach) != cell) || any(cell_of(far) != cell);
}

fn gamma_to_linear(colour: vec3<f32>) -> vec3<f32> {
    let low = colour / 12.92;
    let high = pow((colour + 0.055) / 1.055, vec3<f32>(2.4));
    return select(high, low, colour < vec3<f32>(0.04045));
}

@fragment
fn fragment(@builtin(position) position: vec4<f32>) -> @location(0) vec4<f32> {
    let place = vec2<i32>(floor(position.xy)) - params.origin;
    let pixel = vec2<u32>(clamp(place, vec2<i32>(0), vec2<i32>(params.side) - 1));
    let cell = cell_of(pixel);
    var colour = photograph(pixel);
    if params.kind == TINT {
        let tint = textureLoad(cells, vec2<i32>(cell), 0);
        colour = mix(colour, tint.rgb, tint.a * params.opacity);
    } else if params.kind == HEAT {
        let found = heat(pixel, cell);
        if found.y > 0.0 {
            colour = mix(colour, map_colour(found.x / found.y), found.y * params.opacity);
        }
    }
    if (params.flags & LINES) != 0u {
        let before = cell_of(max(pixel, vec2<u32>(1u)) - 1u);
        if any(before != cell) {
            colour = mix(colour, params.line.rgb, params.line.a);
        }
    }
    let chosen = textureLoad(cells, vec2<i32>(cell + vec2<u32>(0u, params.grid)), 0).r;
    if chosen > 0.5 && at_edge(pixel, cell, params.thick) {
        colour = params.mark.rgb;
    }
    if (params.flags & LINEAR_TARGET) != 0u {
        colour = gamma_to_linear(colour);
    }
    return vec4<f32>(colour, 1.0);
}
