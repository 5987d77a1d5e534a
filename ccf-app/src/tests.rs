//! Scenarios on a host in memory.
