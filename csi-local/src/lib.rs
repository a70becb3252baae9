//! The CSI services over pools. Empty for now: the first release makes the
//! pools that volumes will be carved out of. Knows nothing of disks.
