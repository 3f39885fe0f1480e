//! The station itself: its settings, its serial number, the audit trail, and what was turned away at its door.

pub mod audit;
pub mod config;
pub mod device;
pub mod refusals;
pub mod services;
pub mod temperature;
