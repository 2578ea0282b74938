//! The window itself: winit's events in, egui's shapes out through wgpu. It draws when something happened
//! and sleeps otherwise.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context as _, Result, anyhow};
use egui::ViewportId;
use egui_wgpu::winit::Painter;
use egui_wgpu::{RendererOptions, WgpuConfiguration, WgpuSetup, WgpuSetupExisting};
use egui_winit::accesskit_winit;
use winit::application::ApplicationHandler;
use winit::dpi::LogicalSize;
use winit::event::WindowEvent;
use winit::event_loop::{ActiveEventLoop, ControlFlow, EventLoop, EventLoopProxy};
use winit::window::{Window, WindowId};

use super::{App, Opening, overlay};

/// Wakes the sleeping loop.
enum Wake {
    At(Instant),
    Accesskit(accesskit_winit::Event),
}

impl From<accesskit_winit::Event> for Wake {
    fn from(event: accesskit_winit::Event) -> Self {
        Wake::Accesskit(event)
    }
}

/// Opens the window and stays until it is closed.
///
/// # Errors
/// No display, or none that can be drawn to; the caller then goes on without a window.
pub fn run(opening: Opening) -> Result<()> {
    let events = EventLoop::<Wake>::with_user_event();
    // Without a display winit's message is about backends; people want to hear that there is no screen.
    let events = { events }.build().context("there is no display")?;
    let mut shell = Shell {
        proxy: events.create_proxy(),
        opening: Some(opening),
        ctx: egui::Context::default(),
        open: None,
        wake_at: None,
        failure: None,
    };
    events
        .run_app(&mut shell)
        .context("the window broke down")?;
    match shell.failure {
        Some(failure) => Err(failure),
        None => Ok(()),
    }
}

struct Shell {
    proxy: EventLoopProxy<Wake>,
    opening: Option<Opening>,
    ctx: egui::Context,
    open: Option<Open>,
    wake_at: Option<Instant>,
    failure: Option<anyhow::Error>,
}

/// What exists while the window is open.
struct Open {
    app: App,
    window: Arc<Window>,
    painter: Painter,
    input: egui_winit::State,
    info: egui::ViewportInfo,
    visible: bool,
}

impl ApplicationHandler<Wake> for Shell {
    fn resumed(&mut self, event_loop: &ActiveEventLoop) {
        if self.open.is_some() {
            return;
        }
        match self.create(event_loop) {
            Ok(open) => {
                open.window.request_redraw();
                self.open = Some(open);
            }
            Err(error) => {
                self.failure = Some(error);
                event_loop.exit();
            }
        }
    }

    fn user_event(&mut self, _: &ActiveEventLoop, event: Wake) {
        match (event, &mut self.open) {
            (Wake::At(at), _) => self.wake_at = Some(self.wake_at.map_or(at, |old| old.min(at))),
            (Wake::Accesskit(event), Some(open)) => match event.window_event {
                accesskit_winit::WindowEvent::InitialTreeRequested => {
                    open.input.egui_ctx().enable_accesskit();
                    open.window.request_redraw();
                }
                accesskit_winit::WindowEvent::ActionRequested(request) => {
                    open.input.on_accesskit_action_request(request);
                    open.window.request_redraw();
                }
                accesskit_winit::WindowEvent::AccessibilityDeactivated => {
                    open.input.egui_ctx().disable_accesskit();
                }
            },
            (Wake::Accesskit(_), None) => {}
        }
    }

    fn window_event(&mut self, event_loop: &ActiveEventLoop, _: WindowId, event: WindowEvent) {
        let Some(open) = &mut self.open else {
            return;
        };
        match &event {
            WindowEvent::RedrawRequested => {
                if open.draw(&self.ctx) {
                    event_loop.exit();
                }
                return;
            }
            WindowEvent::CloseRequested => {
                if open.app.may_close() {
                    event_loop.exit();
                }
                open.window.request_redraw();
                return;
            }
            WindowEvent::Resized(size) => {
                let size = NonZeroU32::new(size.width).zip(NonZeroU32::new(size.height));
                open.visible = size.is_some();
                if let Some((width, height)) = size {
                    open.painter
                        .on_window_resized(ViewportId::ROOT, width, height);
                }
            }
            WindowEvent::Occluded(occluded) => open.visible = !occluded,
            _ => {}
        }
        if open.input.on_window_event(&open.window, &event).repaint {
            open.window.request_redraw();
        }
    }

    fn about_to_wait(&mut self, event_loop: &ActiveEventLoop) {
        let now = Instant::now();
        if self.wake_at.is_some_and(|at| at <= now) {
            self.wake_at = None;
            if let Some(open) = &self.open {
                open.window.request_redraw();
            }
        }
        event_loop.set_control_flow(match self.wake_at {
            Some(at) => ControlFlow::WaitUntil(at),
            None => ControlFlow::Wait,
        });
    }

    fn exiting(&mut self, _: &ActiveEventLoop) {
        if let Some(mut open) = self.open.take() {
            open.app.close();
            open.painter.destroy();
        }
    }
}

impl Shell {
    fn create(&mut self, event_loop: &ActiveEventLoop) -> Result<Open> {
        let attributes = Window::default_attributes()
            .with_title("patchlight")
            .with_inner_size(LogicalSize::new(1280.0, 800.0))
            .with_min_inner_size(LogicalSize::new(900.0, 600.0))
            .with_visible(false); // until accesskit is there
        let window = event_loop.create_window(attributes);
        let window = Arc::new(window.context("no window could be opened")?);
        let opening = self.opening.take().unwrap_or_default();
        let setup = match opening.graphics.clone() {
            Some(graphics) => WgpuSetup::Existing(WgpuSetupExisting {
                instance: graphics.instance,
                adapter: graphics.adapter,
                device: graphics.device,
                queue: graphics.queue,
            }),
            None => WgpuSetup::from_display_handle(event_loop.owned_display_handle()),
        };
        let configuration = WgpuConfiguration {
            wgpu_setup: setup,
            ..WgpuConfiguration::default()
        };
        let options = RendererOptions::default();
        let painter = Painter::new(self.ctx.clone(), configuration, false, options);
        let mut painter = pollster::block_on(painter);
        pollster::block_on(painter.set_window(ViewportId::ROOT, Some(window.clone())))
            .map_err(|error| anyhow!("the window cannot be drawn to: {error}"))?;
        let state = painter.render_state();
        if let Some(state) = &state {
            overlay::install(state);
        }
        let mut input = egui_winit::State::new(
            self.ctx.clone(),
            ViewportId::ROOT,
            event_loop,
            Some(window.scale_factor() as f32),
            window.theme(),
            painter.max_texture_side(),
        );
        input.init_accesskit(event_loop, &window, self.proxy.clone());
        window.set_visible(true);
        let proxy = self.proxy.clone();
        self.ctx.set_request_repaint_callback(move |info| {
            // A loop that has ended needs no waking.
            let _ = proxy.send_event(Wake::At(Instant::now() + info.delay));
        });
        Ok(Open {
            app: App::new(self.ctx.clone(), opening, state.is_some())?,
            window,
            painter,
            input,
            info: egui::ViewportInfo::default(),
            visible: true,
        })
    }
}

impl Open {
    /// Draws a frame; true when the program shall end.
    fn draw(&mut self, ctx: &egui::Context) -> bool {
        egui_winit::update_viewport_info(&mut self.info, ctx, &self.window, false);
        let mut input = self.input.take_egui_input(&self.window);
        input.viewports.insert(ViewportId::ROOT, self.info.clone());
        let began = Instant::now();
        let app = &mut self.app;
        let mut output = ctx.run_ui(input, |ui| app.ui(ui));
        self.input
            .handle_platform_output(&self.window, output.platform_output);
        let mut screenshots = Vec::new();
        for (_, viewport) in output.viewport_output {
            let mut actions = Vec::new();
            egui_winit::process_viewport_commands(
                ctx,
                &mut self.info,
                viewport.commands,
                &self.window,
                &mut actions,
            );
            for action in actions {
                if let egui_winit::ActionRequested::Screenshot(callback) = action {
                    screenshots.push(callback);
                }
            }
        }
        if self.visible || !screenshots.is_empty() {
            let shapes = ctx.tessellate(output.shapes, output.pixels_per_point);
            let paper = self.app.paper().to_normalized_gamma_f32();
            self.painter.paint_and_update_textures(
                ViewportId::ROOT,
                output.pixels_per_point,
                paper,
                &shapes,
                &mut output.textures_delta,
                screenshots,
                &self.window,
            );
        }
        self.app.frame_took(began.elapsed());
        self.app.wants_to_close()
    }
}
