//! Results in fio's forms, so that people and programs read them as they read
//! fio's, and the way back from its JSON. Nothing here measures or decides.

pub mod parse;
