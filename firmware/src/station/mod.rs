//! The station itself: its settings, and what was turned away at its door.

pub mod config;
pub mod refusals;
pub mod services;
