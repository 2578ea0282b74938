//! The window: train, watch and explore. One file a panel; plain data in, commands out.

pub mod theme;
