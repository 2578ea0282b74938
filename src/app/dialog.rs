//! Dialogs of the system, on threads of their own: they block until they are answered, the window does not.

use std::sync::mpsc::{Receiver, channel};

use egui::Context;

/// Runs `ask` on a thread of its own; its answer comes through the channel, and the window is drawn then.
pub fn aside<T: Send + 'static>(
    ctx: &Context,
    ask: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (tell, said) = channel();
    let ctx = ctx.clone();
    std::thread::spawn(move || {
        let _ = tell.send(ask()); // who asked has closed
        ctx.request_repaint();
    });
    said
}
