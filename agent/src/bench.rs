//! The agent's side of benchmarks: what the load engine cannot know itself.

pub mod gate;
