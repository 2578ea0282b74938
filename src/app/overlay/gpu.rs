//! `shaders/overlay.wgsl` as a paint callback of egui: one pipeline for all pictures, and textures and
//! numbers of its own for each picture on the screen.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::sync::Arc;

use egui::{Id, PaintCallbackInfo, Rect};
use egui_wgpu::{CallbackResources, CallbackTrait, RenderState, ScreenDescriptor, wgpu};

use super::{Kind, Sheet};

/// Size of the shader's `Params`, in bytes.
const PARAMS: u64 = 80;

/// A picture that was not drawn for so many passes gives its textures back.
const IDLE: u64 = 120;

/// Makes the pipeline for the window's target. Once, before the first picture is shown with `gpu`.
pub fn install(state: &RenderState) {
    let gpu = Gpu::new(&state.device, &state.queue, state.target_format);
    state.renderer.write().callback_resources.insert(gpu);
}

struct Gpu {
    pipeline: wgpu::RenderPipeline,
    layout: wgpu::BindGroupLayout,
    maps: wgpu::TextureView,
    linear: bool,
    instances: HashMap<Id, Instance>,
}

struct Instance {
    picture: (u64, wgpu::Texture),
    cells: (u64, wgpu::Texture),
    params: wgpu::Buffer,
    group: wgpu::BindGroup,
    pass: u64,
}

/// One picture to draw.
pub struct Drawing {
    pub id: Id,
    /// Where it stands, in points.
    pub rect: Rect,
    /// Number of the pass of egui, which tells what is still in use.
    pub pass: u64,
    /// What the texels of the picture are known by, and they: width, height, RGBA.
    pub picture: (u64, Arc<(usize, usize, Vec<u8>)>),
    pub sheet: Sheet,
}

impl Gpu {
    fn new(device: &wgpu::Device, queue: &wgpu::Queue, target: wgpu::TextureFormat) -> Self {
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some("overlay"),
            source: wgpu::ShaderSource::Wgsl(include_str!("../../../shaders/overlay.wgsl").into()),
        });
        let entry = |binding, ty| wgpu::BindGroupLayoutEntry {
            binding,
            visibility: wgpu::ShaderStages::FRAGMENT,
            ty,
            count: None,
        };
        let texture = wgpu::BindingType::Texture {
            sample_type: wgpu::TextureSampleType::Float { filterable: false },
            view_dimension: wgpu::TextureViewDimension::D2,
            multisampled: false,
        };
        let params = wgpu::BindingType::Buffer {
            ty: wgpu::BufferBindingType::Uniform,
            has_dynamic_offset: false,
            min_binding_size: NonZeroU64::new(PARAMS),
        };
        let layout = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some("overlay"),
            entries: &[
                entry(0, params),
                entry(1, texture),
                entry(2, texture),
                entry(3, texture),
            ],
        });
        let pipeline_layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some("overlay"),
            bind_group_layouts: &[Some(&layout)],
            immediate_size: 0,
        });
        let pipeline = device.create_render_pipeline(&wgpu::RenderPipelineDescriptor {
            label: Some("overlay"),
            layout: Some(&pipeline_layout),
            vertex: wgpu::VertexState {
                module: &module,
                entry_point: Some("vertex"),
                buffers: &[],
                compilation_options: wgpu::PipelineCompilationOptions::default(),
            },
            primitive: wgpu::PrimitiveState::default(),
            depth_stencil: None,
            multisample: wgpu::MultisampleState::default(),
            fragment: Some(wgpu::FragmentState {
                module: &module,
                entry_point: Some("fragment"),
                targets: &[Some(target.into())],
                compilation_options: wgpu::PipelineCompilationOptions::default(),
            }),
            multiview_mask: None,
            cache: None,
        });
        let maps = upload(device, queue, 256, 2, &super::map_texels());
        Gpu {
            pipeline,
            layout,
            maps: maps.create_view(&wgpu::TextureViewDescriptor::default()),
            linear: target.is_srgb(),
            instances: HashMap::new(),
        }
    }

    /// The instance of `drawing` with its present contents; what has not changed stays.
    fn update(&mut self, device: &wgpu::Device, queue: &wgpu::Queue, drawing: &Drawing) {
        let (picture_key, texels) = &drawing.picture;
        let sheet = &drawing.sheet;
        let cells_key = egui::util::hash((sheet.grid, &sheet.cells));
        let old = self.instances.remove(&drawing.id);
        let (old_picture, old_cells, rest) = match old {
            Some(i) => (Some(i.picture), Some(i.cells), Some((i.params, i.group))),
            None => (None, None, None),
        };
        let kept = |old: Option<(u64, wgpu::Texture)>, key: u64| old.filter(|o| o.0 == key);
        let (old_picture, old_cells) =
            (kept(old_picture, *picture_key), kept(old_cells, cells_key));
        let same = old_picture.is_some() && old_cells.is_some();
        let picture = old_picture.unwrap_or_else(|| {
            (
                *picture_key,
                upload(device, queue, texels.0, texels.1, &texels.2),
            )
        });
        let cells = old_cells.unwrap_or_else(|| {
            (
                cells_key,
                upload(device, queue, sheet.grid, 2 * sheet.grid, &sheet.cells),
            )
        });
        let (params, group) = match rest.filter(|_| same) {
            Some(rest) => rest,
            None => {
                let params = device.create_buffer(&wgpu::BufferDescriptor {
                    label: Some("overlay"),
                    size: PARAMS,
                    usage: wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
                    mapped_at_creation: false,
                });
                let view =
                    |t: &wgpu::Texture| t.create_view(&wgpu::TextureViewDescriptor::default());
                let (picture, cells) = (view(&picture.1), view(&cells.1));
                let texture = |binding, view| wgpu::BindGroupEntry {
                    binding,
                    resource: wgpu::BindingResource::TextureView(view),
                };
                let group = device.create_bind_group(&wgpu::BindGroupDescriptor {
                    label: Some("overlay"),
                    layout: &self.layout,
                    entries: &[
                        wgpu::BindGroupEntry {
                            binding: 0,
                            resource: params.as_entire_binding(),
                        },
                        texture(1, &picture),
                        texture(2, &cells),
                        texture(3, &self.maps),
                    ],
                });
                (params, group)
            }
        };
        let instance = Instance {
            picture,
            cells,
            params,
            group,
            pass: drawing.pass,
        };
        self.instances.insert(drawing.id, instance);
    }
}

fn upload(
    device: &wgpu::Device,
    queue: &wgpu::Queue,
    width: usize,
    height: usize,
    rgba: &[u8],
) -> wgpu::Texture {
    let size = wgpu::Extent3d {
        width: width as u32,
        height: height as u32,
        depth_or_array_layers: 1,
    };
    let texture = device.create_texture(&wgpu::TextureDescriptor {
        label: Some("overlay"),
        size,
        mip_level_count: 1,
        sample_count: 1,
        dimension: wgpu::TextureDimension::D2,
        format: wgpu::TextureFormat::Rgba8Unorm,
        usage: wgpu::TextureUsages::TEXTURE_BINDING | wgpu::TextureUsages::COPY_DST,
        view_formats: &[],
    });
    let layout = wgpu::TexelCopyBufferLayout {
        offset: 0,
        bytes_per_row: Some(4 * size.width),
        rows_per_image: None,
    };
    queue.write_texture(texture.as_image_copy(), rgba, layout, size);
    texture
}

/// The shader's `Params`; `origin` is in pixels of the screen and may lie outside it.
fn params(sheet: &Sheet, origin: [i32; 2], linear: bool) -> Vec<u32> {
    let flags = u32::from(sheet.smooth) | u32::from(sheet.lines) << 1 | u32::from(linear) << 2;
    let kind = match sheet.kind {
        Kind::None => 0,
        Kind::Tint => 1,
        Kind::Heat => 2,
    };
    let mut words = origin.map(i32::cast_unsigned).to_vec();
    words.extend(sheet.side.map(|side| side as u32));
    words.extend([sheet.grid as u32, kind, flags, sheet.map as u32]);
    words.extend([
        sheet.taps as u32,
        sheet.thick as u32,
        sheet.opacity.to_bits(),
        0,
    ]);
    words.extend(sheet.line.map(f32::to_bits));
    words.extend(sheet.mark.map(f32::to_bits));
    words
}

impl CallbackTrait for Drawing {
    fn prepare(
        &self,
        device: &wgpu::Device,
        queue: &wgpu::Queue,
        screen: &ScreenDescriptor,
        _encoder: &mut wgpu::CommandEncoder,
        resources: &mut CallbackResources,
    ) -> Vec<wgpu::CommandBuffer> {
        if let Some(gpu) = resources.get_mut::<Gpu>() {
            gpu.instances.retain(|_, old| old.pass + IDLE >= self.pass);
            gpu.update(device, queue, self);
            let origin = self.rect.min * screen.pixels_per_point;
            let origin = [origin.x.round() as i32, origin.y.round() as i32];
            let words = params(&self.sheet, origin, gpu.linear);
            if let Some(instance) = gpu.instances.get(&self.id) {
                queue.write_buffer(&instance.params, 0, bytemuck::cast_slice(&words));
            }
        }
        vec![]
    }

    fn paint(
        &self,
        _info: PaintCallbackInfo,
        render_pass: &mut wgpu::RenderPass<'static>,
        resources: &CallbackResources,
    ) {
        let Some(gpu) = resources.get::<Gpu>() else {
            return;
        };
        if let Some(instance) = gpu.instances.get(&self.id) {
            render_pass.set_pipeline(&gpu.pipeline);
            render_pass.set_bind_group(0, &instance.group, &[]);
            render_pass.draw(0..3, 0..1);
        }
    }
}
