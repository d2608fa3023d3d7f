//! Faults: plans (text), the plane that carries them out, and the sites at which it acts.

pub mod plan;
pub mod plane;
