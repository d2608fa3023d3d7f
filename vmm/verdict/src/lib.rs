//! Oracles, the I/O ledger and expectations over a Workgate trace.
