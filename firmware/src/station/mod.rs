//! The station itself: its settings, its serial number, the audit trail, what was turned away at its door,
//! and what somebody has to see to.

pub mod audit;
pub mod config;
pub mod device;
pub mod heart;
pub mod model_store;
pub mod network;
pub mod notice;
pub mod refusals;
pub mod self_test;
pub mod services;
pub mod system;
pub mod temperature;
