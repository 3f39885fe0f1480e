//! The station itself: its settings, the audit trail, and what was turned away at its door.

pub mod audit;
pub mod config;
pub mod refusals;
pub mod services;
