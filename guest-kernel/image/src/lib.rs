//! The guest kernel image, built for the machine and embedded.
